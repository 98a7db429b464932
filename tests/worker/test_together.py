"""Runs of a launch that train in one process: each has its own end, whatever becomes of the others."""

from __future__ import annotations

import time
from signal import SIGKILL
from typing import Any

from imbtui import files, queue, worker

Box = Any  # tests/worker/conftest.py


def begin(box: Box, *runs: Any) -> None:
    queue.set_slots(box.runs, 1)
    worker.ensure(box.runs)
    box.wait(lambda: box.states(*runs) == ["running"] * len(runs))
    assert len({box.rank(run) for run in runs}) == 1


def test_one_that_is_stopped_leaves_the_process_to_the_others(box: Box) -> None:
    first, second, third = (box.submit(steps=100_000, together=True) for _ in range(3))
    begin(box, first, second, third)
    process = box.rank(first)
    worker.request_stop(box.runs, second.id)
    box.wait(lambda: files.read_json(second.state)["state"] == "ended")
    # Longer than a process may take to leave that has nothing to do any more.
    box.wait(lambda: files.read_json(first.state)["state"] == "running" and _age(second) > 2)
    assert box.states(first, second, third) == ["running", "stopped", "running"] and process.alive()
    worker.resume(box.runs, second.id)
    worker.request_stop(box.runs, first.id)
    worker.request_stop(box.runs, third.id)
    box.wait(lambda: box.states(first, third) == ["stopped"] * 2 and box.state(second) == "running")
    assert box.rank(second) != process
    box.wait(lambda: box.starts(second) == ["start 1 0", "start 2 0"])
    assert box.starts(first) == ["start 1 0"]


def _age(run: Any) -> float:
    return time.time() - run.result.stat().st_mtime


def test_one_that_does_not_stop_costs_the_others_their_process_and_no_more(box: Box) -> None:
    deaf = box.submit(steps=100_000, together=True, on_term="ignore", submit={"grace": 0.5})
    first, second = (box.submit(steps=150, together=True) for _ in range(2))
    begin(box, deaf, first, second)
    worker.request_stop(box.runs, deaf.id)
    box.wait(lambda: box.states(deaf, first, second) == ["stopped", "finished", "finished"])
    assert box.reason(deaf) == "it did not stop within 0.5 s and was killed"
    assert [box.starts(run) for run in (first, second)] == [["start 1 0", "start 2 0"]] * 2


def test_when_their_process_is_killed_all_of_them_have_crashed(box: Box) -> None:
    runs = [box.submit(steps=100_000, together=True) for _ in range(3)]
    begin(box, *runs)
    box.rank(runs[1]).signal(SIGKILL)
    box.wait(lambda: box.states(*runs) == ["crashed"] * 3)
    box.wait(lambda: box.processes() == [] or not worker.held(box.runs))
