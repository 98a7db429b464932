"""Many runs and many hands at once: nothing is lost, nothing is unreadable, nothing becomes slow."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from imbtui import folders, index, queue, store
from imbtui.paths import RunPaths, RunsPaths

MakeRuns = Callable[..., list[RunPaths]]

SUBMITTER = """
import sys
from pathlib import Path
from imbtui import submit
from imbtui.paths import RunsPaths
from imbtui.recipe import load_study
runs = RunsPaths(Path(sys.argv[1]))
for number in range(int(sys.argv[4])):
    study = load_study(sys.argv[2], [f"split_seed={1000 * int(sys.argv[3]) + number}"])
    submit.submit(runs, submit.plan(runs, [study], rerun=True), device="cpu")
"""
READER = """
import sys
from pathlib import Path
from imbtui import folders, index, store
from imbtui.paths import RunsPaths
runs, reads, seen = RunsPaths(Path(sys.argv[1])), 0, 0
while seen < int(sys.argv[2]):
    said = []
    rows = index.query(runs, warn=said.append)
    assert not said, said
    assert len(rows) >= seen
    assert all(row["state"] == "queued" and row["digest"] for row in rows)
    stored = index.ReplacingStorage(runs.index).read()
    assert stored is None or index.TABLE in stored
    seen, reads = len(rows), reads + 1
print(reads)
"""


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, text=True
    )


def submit_at_once(runs: RunsPaths, recipe: Path, *, processes: int, each: int, readers: int) -> None:
    count = processes * each
    reading = [start(READER, runs.root, count) for _ in range(readers)]
    writing = [start(SUBMITTER, runs.root, recipe, number, each) for number in range(processes)]
    assert [process.wait() for process in writing] == [0] * processes
    said = [process.communicate()[0] for process in reading]
    assert [process.returncode for process in reading] == [0] * readers
    assert all(int(reads) > 1 for reads in said)
    assert len(store.list_ids(runs)) == count
    assert len(index.query(runs)) == count
    assert [row["position"] for row in queue.view(runs)] == list(range(1, count + 1))
    index.sync(runs, [])
    stored = index.ReplacingStorage(runs.index).read()
    assert stored is not None
    assert len(stored[index.TABLE]) == count
    assert not list(runs.root.glob(".index-damaged-*"))


@pytest.mark.parametrize(
    ("processes", "each", "readers"), [(3, 4, 2), pytest.param(8, 50, 4, marks=pytest.mark.slow)]
)
def test_many_submitters_at_once_lose_nothing_and_readers_read(
    runs: RunsPaths, make_runs: MakeRuns, tmp_path: Path, processes: int, each: int, readers: int
) -> None:
    (run,) = make_runs()
    folders.remove(runs, run.id)
    submit_at_once(runs, tmp_path / "tiny.toml", processes=processes, each=each, readers=readers)


@pytest.fixture(scope="module")
def benchmark(load_benchmark: Callable[[str], ModuleType]) -> ModuleType:
    return load_benchmark("index")


def test_a_thousand_runs_are_rebuilt_in_less_than_five_seconds(
    runs: RunsPaths, benchmark: ModuleType
) -> None:
    benchmark.make_runs(runs, 1000)
    begun = time.monotonic()
    assert len(index.query(runs)) == 1000
    assert time.monotonic() - begun < 5


@pytest.mark.slow
@pytest.mark.parametrize("state", ["finished", "queued"])
def test_ten_thousand_runs_stay_cheap(benchmark: ModuleType, state: str) -> None:
    """Processor time, and twice the goals: what others do on the machine slows it down as well."""
    found = benchmark.figures(10_000, state=state)
    assert found["change"] < 2 * 0.015, found
    assert found["ls"] < 2 * 0.3, found
