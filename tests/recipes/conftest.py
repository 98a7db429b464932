"""Running a study as a user does."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from imbtui import store
from imbtui.paths import RunsPaths
from imbtui.store import RunView


@pytest.fixture
def held(tmp_path: Path) -> Callable[[str], list[RunView]]:
    """Run a study on the CPU, make sure that every asserted claim is held, and return its runs."""
    runs = RunsPaths(tmp_path / "runs")

    def imbtui(*arguments: str) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "imbtui", *arguments, "--runs", str(runs.root)]
        return subprocess.run(command, capture_output=True, check=False)

    def run_and_judge(name: str) -> list[RunView]:
        trained = imbtui("run", name, "--cpu")
        assert trained.returncode == 0, trained.stderr.decode()
        judged = imbtui("verdict", name, "--strict", "--json")
        assert judged.returncode == 0, json.loads(judged.stdout)
        return [store.read(runs.run(run_id)) for run_id in store.list_ids(runs)]

    return run_and_judge
