"""Training in tests: in this process, or as a trainer of its own that can be killed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from imbtui.paths import RunPaths

Train = Callable[[RunPaths], dict[str, Any]]


@pytest.fixture
def train() -> Train:
    """Train a run in this process and return its result."""
    from imbtui.engine import session

    def run_it(run: RunPaths, stop_flag: list[int] | None = None) -> dict[str, Any]:
        attempt = session.attempt_of(run)
        session.train_run(
            run, attempt=attempt, stop_flag=[] if stop_flag is None else stop_flag, provenance={}
        )
        return json.loads(run.result.read_text())

    return run_it


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
