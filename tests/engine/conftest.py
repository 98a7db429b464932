"""Trainers as processes of their own, which can be killed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from imbtui.paths import RunPaths


@pytest.fixture
def start_trainer() -> Callable[..., subprocess.Popen[bytes]]:
    """Start the trainer of runs as a process of its own."""

    def start(*runs: RunPaths, **environment: str) -> subprocess.Popen[bytes]:
        import os

        return subprocess.Popen(
            [sys.executable, "-m", "imbtui.engine", *(str(run.root) for run in runs)],
            env=os.environ | environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    return start
