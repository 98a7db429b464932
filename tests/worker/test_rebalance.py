"""Runs that wait inside a launch: taken back when their order changes or room is idle, never begun twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from imbtui import files, queue, worker
from imbtui.paths import RunPaths
from imbtui.worker.carried import Carried, Launch
from imbtui.worker.listing import Queued
from imbtui.worker.place import Box as Room
from imbtui.worker.place import GpuRoom
from imbtui.worker.rebalance import to_take_back

Box = Any  # tests/worker/conftest.py


def carried(number: int, *, begun: bool = False, over: bool = False, **wish: Any) -> Carried:
    asked = Queued(**{"id": f"r{number}", "attempt": 1, "place": number, "gpus": "cpu", **wish})
    return Carried(RunPaths(Path(f"/nowhere/r{number}")), asked, begun=begun or over, over=over)


def launch(*runs: Carried, **settings: Any) -> Launch:
    return Launch("mark", list(runs), Path("/nowhere/log"), **{"slots": 1, **settings})


def taken(launches: list[Launch], waiting: list[Queued], room: Room, now: float = 0.0) -> list[str] | None:
    found = to_take_back(launches, waiting, room, now=now)
    return None if found is None else [run.id for run in found[1]]


FULL = Room(cores=2, slots=2, busy=2)
IDLE = Room(cores=2, slots=2, busy=1)


def test_nothing_is_taken_back_without_a_reason() -> None:
    pack = launch(carried(0, begun=True), carried(1), carried(2))
    assert taken([pack], [], FULL) is None
    assert taken([pack], [Queued("late", 1, place=9, gpus="cpu")], FULL) is None
    assert taken([pack], [], IDLE, now=5.0) is None  # ten seconds of work: not worth a launch


def test_a_run_that_waits_and_comes_first_shortens_one_launch() -> None:
    first = Queued("first", 1, priority=1, gpus="cpu")
    packs = [launch(carried(n, begun=True), carried(n + 2), carried(n + 4)) for n in range(2)]
    assert taken(packs, [first], FULL) == ["r3", "r5"]
    packs[1].shortened = True
    packs[1].runs = packs[1].runs[:1]
    assert taken(packs, [first], FULL) is None


def test_only_runs_that_come_later_are_taken_back() -> None:
    middle = Queued("middle", 1, place=2, gpus="cpu")
    assert taken([launch(carried(0, begun=True), carried(1), carried(3))], [middle], FULL) == ["r3"]


def test_the_run_about_to_begin_stays() -> None:
    first = Queued("first", 1, priority=1, gpus="cpu")
    assert taken([launch(carried(0), carried(1))], [first], FULL) == ["r1"]
    assert taken([launch(carried(0))], [first], FULL) is None


def test_a_new_order_inside_a_launch_takes_all_of_it_back() -> None:
    pack = launch(carried(0, begun=True), carried(1), carried(2, place=-5))
    assert taken([pack], [], FULL) == ["r1", "r2"]


def test_idle_room_gets_half_of_the_longest_launch() -> None:
    pack = launch(carried(0, over=True), carried(1, begun=True), *(carried(n) for n in range(2, 7)))
    assert taken([pack], [], IDLE, now=60.0) == ["r3", "r5"]
    assert taken([pack], [], FULL, now=60.0) is None
    last = launch(carried(0, begun=True), carried(1))
    assert taken([last], [], IDLE, now=60.0) == ["r1"]


@pytest.mark.parametrize(
    ("wish", "gpus", "expected"),
    [
        ({"gpus": "cpu"}, (0,), None),
        ({"gpus": None}, (0,), ["r1"]),
        ({"gpus": (1,)}, (0,), None),
        ({"gpus": (0, 1)}, (0,), ["r1"]),
        ({"gpus": None}, (), None),
    ],
)
def test_only_launches_that_use_the_room_it_waits_for_are_shortened(
    wish: Any, gpus: tuple[int, ...], expected: list[str] | None
) -> None:
    room = Room(cores=2, slots=2, busy=2, gpus=[GpuRoom(0, 0, 1), GpuRoom(1, 0, 1)])
    first = Queued("first", 1, priority=1, **wish)
    pack = launch(carried(0, begun=True, gpus=gpus or "cpu"), carried(1, gpus=gpus or "cpu"), gpus=gpus)
    assert taken([pack], [first], room) == expected


def test_idle_gpus_get_work_that_may_run_there() -> None:
    room = Room(cores=2, slots=2, gpus=[GpuRoom(0, 0, 1), GpuRoom(1, 1)])
    for wish, expected in ((None, ["r1"]), ((0,), None)):
        pack = launch(carried(0, begun=True, gpus=wish), carried(1, gpus=wish), gpus=(0,))
        assert taken([pack], [], room, now=100.0) == expected


def test_a_run_moved_to_the_front_of_a_packed_queue_goes_first(box: Box) -> None:
    queue.set_slots(box.runs, 1)
    first, *rest = [box.submit(steps=100_000 if n == 0 else 3) for n in range(4)]
    worker.ensure(box.runs)
    box.wait(lambda: box.state(first) == "running")
    launch_before = files.read_json(rest[2].state)["launch"]
    queue.move(box.runs, rest[2].id, 1)
    assert [row["id"] for row in queue.view(box.runs)] == [first.id, rest[2].id, rest[0].id, rest[1].id]
    box.wait(lambda: not rest[2].state.exists())
    worker.request_stop(box.runs, first.id)
    box.wait(lambda: box.states(*rest) == ["finished"] * 3)
    began = [(run.root / "starts.txt").stat().st_mtime_ns for run in (rest[2], rest[0], rest[1])]
    assert began == sorted(began)
    assert files.read_json(rest[2].state)["launch"] != launch_before
    assert [box.starts(run) for run in rest] == [["start 1 0"]] * 3


def test_a_paused_queue_begins_none_of_the_runs_that_wait_in_a_launch(box: Box) -> None:
    queue.set_slots(box.runs, 1)
    first, *rest = [box.submit(steps=100_000 if n == 0 else 3) for n in range(3)]
    worker.ensure(box.runs)
    box.wait(lambda: box.state(first) == "running")
    queue.pause(box.runs)
    box.wait(lambda: not any(run.state.exists() for run in rest))
    worker.request_stop(box.runs, first.id)
    box.wait(lambda: not worker.held(box.runs))
    assert box.states(first, *rest) == ["stopped", "queued", "queued"]
    queue.resume(box.runs)
    box.wait(lambda: box.states(*rest) == ["finished"] * 2)
    assert [box.starts(run) for run in rest] == [["start 1 0"]] * 2


def test_room_that_becomes_idle_is_given_to_runs_that_wait_in_another_launch(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STANDIN_WORTH", "0")
    queue.set_slots(box.runs, 1)
    runs = [box.submit(steps=100_000) for _ in range(3)]
    worker.ensure(box.runs)
    box.wait(lambda: box.state(runs[0]) == "running")
    queue.set_slots(box.runs, 2)
    box.wait(lambda: box.states(*runs).count("running") == 2)
    worker.request_stop(box.runs, runs[0].id)
    box.wait(lambda: "queued" not in box.states(*runs))
    assert [box.starts(run) for run in runs] == [["start 1 0"]] * 3
