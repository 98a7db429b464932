"""Workers, launchers and trainers that are killed: no run is lost, none is trained twice, none lies."""

from __future__ import annotations

import random
import time
from signal import SIGKILL
from typing import Any

import pytest

from imbtui import files, queue, worker
from imbtui.errors import UserError
from imbtui.worker import lock

Box = Any  # tests/worker/conftest.py


def ensure_somehow(box: Box) -> None:
    """Start a worker that may die before its caller sees it."""
    try:
        worker.ensure(box.runs)
    except UserError:
        assert not worker.held(box.runs)


def all_is_well(box: Box, runs: list[Any], stopped: Any) -> bool:
    return box.states(*runs, stopped) == ["finished"] * len(runs) + ["stopped"]


def check_traces(box: Box, *runs: Any) -> None:
    for run in runs:
        assert box.starts(run) in ([], ["start 1 0"]), f"{run.id}: {box.starts(run)}"


def die_at(box: Box, monkeypatch: pytest.MonkeyPatch, number: int) -> bool:
    """Kill the worker at its n-th act, start another, and see everything end well; return if it was killed.

    One launch carries a run that finishes, one that is stopped while it trains, and one behind it.
    """
    queue.set_slots(box.runs, 1)
    long = box.submit(steps=100_000)
    rest = [box.submit(), box.submit()]
    monkeypatch.setenv("STANDIN_DIE_AT", str(number))
    ensure_somehow(box)

    def goes_on() -> bool:
        return box.state(long) == "running" or not worker.held(box.runs)

    box.wait(goes_on)
    if worker.held(box.runs):
        files.write_atomic(long.stop, "1")
        box.wait(lambda: all_is_well(box, rest, long) or not worker.held(box.runs))
        box.wait(lambda: not worker.held(box.runs))
    killed = not lock.report(box.runs).get("idle")
    monkeypatch.delenv("STANDIN_DIE_AT")
    begun = time.monotonic()
    worker.ensure(box.runs)
    box.wait(lambda: box.state(long) in ("running", "stopped"))
    assert time.monotonic() - begun < 5
    if box.state(long) == "running":
        worker.request_stop(box.runs, long.id)
    box.wait(lambda: all_is_well(box, rest, long))
    check_traces(box, long, *rest)
    box.wait(lambda: not worker.held(box.runs))
    box.wait(lambda: box.processes() == [])
    return killed


@pytest.mark.parametrize("number", [1, 3, 5, 6, 8, 13])
def test_a_worker_killed_at_one_of_its_acts_loses_nothing(
    box: Box, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    assert die_at(box, monkeypatch, number)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(1, 61))
def test_a_worker_killed_at_any_of_its_acts_loses_nothing(
    box: Box, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    die_at(box, monkeypatch, number)


def kill_at_random(box: Box, seed: int) -> None:
    """Submit six runs, one of them to be stopped, and kill every worker after a random while."""
    chance = random.Random(seed)
    runs = [box.submit(steps=chance.randint(1, 60)) for _ in range(5)]
    long = box.submit(steps=100_000)
    asked = False
    for _ in range(4):
        ensure_somehow(box)
        time.sleep(chance.uniform(0.0, 1.2))  # the moment is the point here: any will do
        if not asked and box.state(long) == "running":
            files.write_atomic(long.stop, "1")
            asked = True
        who = box.worker()
        if who is not None:
            who.signal(SIGKILL)
            box.wait(lambda: not lock.held(box.runs))
    worker.ensure(box.runs)
    box.wait(lambda: box.state(long) in ("running", "stopped"))
    if not asked:
        worker.request_stop(box.runs, long.id)
    box.wait(lambda: all_is_well(box, runs, long))
    check_traces(box, *runs, long)
    box.wait(lambda: not worker.held(box.runs))
    box.wait(lambda: box.processes() == [])


def test_workers_killed_at_random_lose_nothing(box: Box) -> None:
    kill_at_random(box, 0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 101))
def test_workers_killed_at_a_hundred_random_moments_lose_nothing(box: Box, seed: int) -> None:
    kill_at_random(box, seed)


def test_a_run_that_ended_while_no_worker_lived_is_reaped_by_the_next(box: Box) -> None:
    good, bad = box.submit(steps=40), box.submit(steps=40, end="vanish", says="RuntimeError: shapes differ")
    worker.ensure(box.runs)
    box.wait(lambda: box.states(good, bad) == ["running", "running"])
    box.kill_worker()
    box.wait(lambda: box.states(good, bad) == ["finished", "crashed"])
    worker.ensure(box.runs)
    box.wait(lambda: [files.read_json(r.state).get("how") for r in (good, bad)] == ["finished", "crashed"])
    assert box.reason(bad) == "its process is gone; its log ends: RuntimeError: shapes differ"
    check_traces(box, good, bad)


def test_a_killed_trainer_is_a_crash_and_costs_only_its_own_run(box: Box) -> None:
    queue.set_slots(box.runs, 1)
    first, second, third = box.submit(), box.submit(steps=100_000, helper=True), box.submit()
    worker.ensure(box.runs)
    rank = box.wait(lambda: box.rank(second))
    launch = files.read_json(third.state)["launch"]
    rank.signal(SIGKILL)
    box.wait(lambda: box.states(first, second, third) == ["finished", "crashed", "finished"])
    assert files.read_json(third.state)["launch"] == launch
    worker.resume(box.runs, second.id)
    box.wait(lambda: box.state(second) == "running")
    worker.request_stop(box.runs, second.id)
    box.wait(lambda: box.state(second) == "stopped")
    assert box.starts(second) == ["start 1 0", "start 2 0"]
    box.wait(lambda: not worker.held(box.runs))
    box.wait(lambda: box.processes() == [])


@pytest.mark.parametrize("victims", ["launcher", "launcher and trainer"])
def test_a_killed_launcher_takes_its_run_along_and_the_rest_is_queued_again(box: Box, victims: str) -> None:
    queue.set_slots(box.runs, 1)
    under_way, behind = box.submit(steps=100_000, helper=True), box.submit()
    worker.ensure(box.runs)
    rank = box.wait(lambda: box.rank(under_way))
    first_launch = files.read_json(behind.state)["launch"]
    launcher = box.wait(lambda: box.launcher(under_way))
    launcher.signal(SIGKILL)
    box.wait(lambda: not launcher.alive())
    if victims == "launcher and trainer":
        rank.signal(SIGKILL)
    box.wait(lambda: box.states(under_way, behind) == ["crashed", "finished"])
    assert not rank.alive()
    assert files.read_json(behind.state)["launch"] != first_launch
    if victims == "launcher":
        assert box.reason(under_way) == "its launcher was killed"
    check_traces(box, under_way, behind)
    box.wait(lambda: not worker.held(box.runs))
    box.wait(lambda: box.processes() == [])


def test_everything_killed_at_once_is_found_out(box: Box) -> None:
    run = box.submit(steps=100_000)
    worker.ensure(box.runs)
    box.wait(lambda: box.state(run) == "running")
    for who in box.processes():
        who.signal(SIGKILL)
    box.wait(lambda: box.state(run) == "crashed")
    worker.ensure(box.runs)
    box.wait(lambda: files.read_json(run.state)["state"] == "ended")
    assert box.state(run) == "crashed"


def test_a_trainer_of_an_earlier_boot_is_never_shown_as_running(box: Box) -> None:
    run = box.submit(steps=100_000)
    worker.ensure(box.runs)
    rank = box.wait(lambda: box.rank(run))
    box.kill_worker()
    for path in (run.rank(0), run.state, box.runs.worker):
        files.write_json(path, {**files.read_json(path), "boot_id": "the boot before"})
    assert box.state(run) == "crashed"
    worker.ensure(box.runs)
    box.wait(lambda: files.read_json(run.state)["state"] == "ended")
    assert not rank.alive()  # it carries the launch's mark, whatever the file says
