"""Running a study as a user does."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from imbtui import store
from imbtui.metrics import Reader
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


@pytest.fixture
def assert_means() -> Callable[[list[RunView], Iterable[tuple[str, str, str, float, float]]], None]:
    """Compare means over seeds with what was measured: (arm, metric, at, mean, how far others may be off)."""
    reader = Reader()

    def compare(views: list[RunView], measured: Iterable[tuple[str, str, str, float, float]]) -> None:
        for arm, metric, at, expected, tolerance in measured:
            values = [reader.value(view, metric, at) for view in views if view.arm == arm]
            assert statistics.mean(values) == pytest.approx(expected, abs=tolerance), (arm, metric, at)

    return compare
