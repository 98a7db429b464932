"""A runs folder with stand-in runs, and workers that are real processes."""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest

from imbtui import files, folders, processes, store
from imbtui.paths import RunPaths, RunsPaths, host
from imbtui.processes import Identity
from imbtui.worker import lock

HERE = Path(__file__).parent


def wait_until(condition: Callable[[], Any], seconds: float = 90.0) -> Any:
    """Return the first true answer; fail when none came in time."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.01)
    return answer


class Box:
    """One runs folder, its runs and whatever was started for it."""

    def __init__(self, root: Path) -> None:
        self.runs = RunsPaths(root)
        root.mkdir(mode=0o700)
        self._count = itertools.count()

    def submit(
        self, name: str | None = None, *, submit: dict[str, Any] | None = None, **standin: Any
    ) -> RunPaths:
        """Make a queued run as `folders.create` does, with a stand-in's behaviour for a recipe."""
        number = next(self._count)
        name = name or f"run{number:03d}"
        building = RunPaths(self.runs.root / f".new-{name}")
        building.root.mkdir()
        document = {
            "format": 1,
            "attempt": 1,
            "priority": 0,
            "order": time.time_ns(),
            "created": folders.now(),
            "host": host(),
            "study": "standin",
            "seed": number,
            "digest": name,
            "gpus": "cpu",
            "here": False,
            "processes": 1,
            "threads": 0,
            "pack": 0,
            "retries": 0,
            "grace": 1.0,
            "pack_key": "standin",
            **(submit or {}),
        }
        files.write_json(building.submit, document, durable=False)
        table = "".join(f"{key} = {_toml(value)}\n" for key, value in standin.items())
        files.write_atomic(building.recipe, f"[standin]\n{table}", durable=False)
        building.ranks.mkdir()
        building.root.rename(self.runs.root / name)
        return self.runs.run(name)

    wait = staticmethod(wait_until)

    def state(self, run: RunPaths) -> str:
        return store.read(run).state

    def reason(self, run: RunPaths) -> str:
        return store.read(run).reason

    def states(self, *runs: RunPaths) -> list[str]:
        return [self.state(run) for run in runs]

    def starts(self, run: RunPaths) -> list[str]:
        """Every start of the run's trainer: `start ATTEMPT RANK`, or `DOUBLE ...` if two trained at once."""
        trace = run.root / "starts.txt"
        return trace.read_text().splitlines() if trace.exists() else []

    def rank(self, run: RunPaths) -> Identity | None:
        return next((r for r in store.registered(run, store.read(run).attempt) if r.alive()), None)

    def launcher(self, run: RunPaths) -> Identity | None:
        return Identity.from_json(files.read_json(run.state))

    def worker(self) -> Identity | None:
        who = Identity.from_json(lock.report(self.runs))
        return who if who is not None and who.alive() and lock.held(self.runs) else None

    def kill_worker(self) -> None:
        """SIGKILL the worker and wait until its lock is free."""
        who = wait_until(self.worker)
        who.signal(SIGKILL)
        wait_until(lambda: not lock.held(self.runs))

    def processes(self) -> list[Identity]:
        """Everything alive that names this runs folder: workers, launchers, trainers, their children."""
        return processes.marked("IMBTUI_TEST_BOX", str(self.runs.root))


def _toml(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    """A runs folder whose workers are real processes that launch the stand-in trainer."""
    here = Box(tmp_path / "runs")
    monkeypatch.setattr(lock, "MODULE", "standin_worker")
    monkeypatch.setenv("PYTHONPATH", f"{HERE}{os.pathsep}{HERE.parents[1]}")
    monkeypatch.setenv("IMBTUI_TEST_BOX", str(here.runs.root))
    monkeypatch.setitem(sys.modules, "pynvml", None)
    yield here
    left = processes.kill_until_none(here.processes)
    assert not left
