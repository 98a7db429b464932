"""Stops and kills through the real `accelerate launch`, which hides and scatters processes in its own way."""

from __future__ import annotations

import time
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest

from imbtui import files, queue, store, worker
from imbtui.processes import Identity

Box = Any  # tests/worker/conftest.py

GRACE = 1.0


@pytest.fixture(autouse=True)
def _really_launched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STANDIN_ACCELERATE", "1")


def ranks(run: Any) -> list[Identity]:
    return [rank for rank in store.registered(run, store.read(run).attempt) if rank.alive()]


def port(box: Box, run: Any) -> str:
    line = Path(f"/proc/{box.launcher(run).pid}/cmdline").read_bytes().decode().split("\0")
    return line[line.index("--main_process_port") + 1]


def wait_for_ranks(box: Box, run: Any, count: int) -> list[Identity]:
    return box.wait(lambda: len(found := ranks(run)) == count and found, 60)


def wait_until_nothing_is_left(box: Box) -> None:
    """Wait until no process is left but the worker, if that."""
    box.wait(lambda: {who.pid for who in box.processes()} <= {worker.status(box.runs)["pid"]})


def test_two_launches_of_two_ranks_at_once_meet_at_different_ports_and_end_apart(box: Box) -> None:
    queue.set_slots(box.runs, 4)
    wish = {"processes": 2, "pack": 1, "grace": 10.0}
    killed, stopped = (box.submit(steps=100_000, helper=True, submit=wish) for _ in range(2))
    worker.ensure(box.runs)
    victims = wait_for_ranks(box, killed, 2)
    wait_for_ranks(box, stopped, 2)
    assert port(box, killed) != port(box, stopped)
    victims[1].signal(SIGKILL)
    worker.request_stop(box.runs, stopped.id)
    box.wait(lambda: box.states(killed, stopped) == ["crashed", "stopped"])
    box.wait(lambda: files.read_json(killed.state)["state"] == "ended")
    assert box.reason(killed) in ("killed by SIGKILL", "its launcher was killed")
    assert files.read_json(stopped.checkpoints / "step.json") > 0
    wait_until_nothing_is_left(box)
    assert sorted(box.starts(stopped)) == ["start 1 0", "start 1 1"]


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("victims", ["trainer", "launcher", "both"])
def test_whoever_is_killed_the_run_is_a_crash_and_resumable(box: Box, processes: int, victims: str) -> None:
    run = box.submit(steps=100_000, helper=True, submit={"processes": processes})
    worker.ensure(box.runs)
    found = wait_for_ranks(box, run, processes)
    if victims != "trainer":
        box.wait(lambda: box.launcher(run)).signal(SIGKILL)
    if victims != "launcher":
        found[0].signal(SIGKILL)
    box.wait(lambda: files.read_json(run.state)["state"] == "ended")
    assert box.state(run) == "crashed" and box.reason(run)
    wait_until_nothing_is_left(box)
    worker.resume(box.runs, run.id)
    wait_for_ranks(box, run, processes)
    worker.request_stop(box.runs, run.id)
    box.wait(lambda: box.state(run) == "stopped")
    wait_until_nothing_is_left(box)


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("on_term", ["save", "ignore"])
@pytest.mark.parametrize("helper", [True, False])
@pytest.mark.parametrize("launcher", ["alive", "dead"])
def test_a_stop_leaves_nothing_alive(
    box: Box, processes: int, on_term: str, helper: bool, launcher: str
) -> None:
    wish = {"processes": processes, "grace": GRACE}
    run = box.submit(steps=100_000, on_term=on_term, helper=helper, submit=wish)
    worker.ensure(box.runs)
    wait_for_ranks(box, run, processes)
    begun = time.monotonic()
    worker.request_stop(box.runs, run.id)
    if launcher == "dead":
        box.launcher(run).signal(SIGKILL)
    box.wait(lambda: box.state(run) == "stopped")
    wait_until_nothing_is_left(box)
    assert time.monotonic() - begun < GRACE + 2
    if on_term == "save" and launcher == "alive":
        assert files.read_json(run.checkpoints / "step.json") > 0
