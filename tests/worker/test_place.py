"""Which runs start where: a simulated box with four GPUs, and CPU slots."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imbtui.gpus import MIB, Gpu, GpuProcess
from imbtui.worker.listing import Queued, queued
from imbtui.worker.place import Box, GpuRoom, Occupant, gpu_rooms, has_room, place

GIB = 1 << 30


def run(number: int, **wish: Any) -> Queued:
    return Queued(**{"id": f"r{number}", "attempt": 1, "place": number, "group": "g", "gpus": "cpu", **wish})


def four_gpus(*held: int) -> list[Gpu]:
    """A recorded reading: on the GPUs in `held` a stranger's process 77 has 20 GiB."""
    return [
        Gpu(n, "H200", f"GPU-{n}", 141_000 * MIB, 20_480 * MIB * (n in held), 0.0,
            (GpuProcess(77, 20_480 * MIB),) if n in held else ())
        for n in range(4)
    ]  # fmt: skip


def rooms(*held: int, ours: list[tuple[int, ...]] | None = None, per_gpu: int = 1) -> list[GpuRoom]:
    return gpu_rooms(four_gpus(*held), [Occupant(gpus) for gpus in ours or []], per_gpu)


def starts(queue: list[Queued], box: Box) -> list[tuple[list[str], tuple[int, ...]]]:
    return [([r.id for r in s.runs], s.gpus) for s in place(queue, box)[0]]


def test_a_group_is_dealt_over_the_slots() -> None:
    box = Box(cores=2, slots=2)
    assert starts([run(n) for n in range(5)], box) == [(["r0", "r2", "r4"], ()), (["r1", "r3"], ())]
    assert box.threads == 1


def test_runs_that_train_together_stay_in_one_launch_while_every_slot_gets_some() -> None:
    queue = [run(n, settings="ab"[n % 2], fuse=True) for n in range(6)] + [run(6, settings="b")]
    made = starts(queue, Box(cores=2, slots=2))
    assert [ids for ids, _ in made] == [["r0", "r2", "r4", "r6"], ["r1", "r3", "r5"]]
    assert [ids for ids, _ in starts(queue[:6], Box(cores=3, slots=3))] == [
        ["r0", "r3"],
        ["r1", "r4"],
        ["r2", "r5"],
    ]
    capped = [run(n, settings="a", fuse=True, pack=2) for n in range(4)]
    assert [ids for ids, _ in starts(capped, Box(cores=2, slots=2))] == [["r0", "r2"], ["r1", "r3"]]


def test_pack_caps_what_one_launch_carries_and_the_rest_says_why_it_waits() -> None:
    made, waiting = place([run(n, pack=1) for n in range(3)], Box(cores=2, slots=2))
    assert [[r.id for r in s.runs] for s in made] == [["r0"], ["r1"]]
    assert waiting == {"r2": "waits for a free CPU slot (2 in use)"}


def test_groups_and_priorities_do_not_mix_in_one_launch() -> None:
    queue = sorted([run(0), run(1, group="h"), run(2, priority=1), run(3)], key=lambda r: r.turn)
    made, waiting = place(queue, Box(cores=3, slots=3))
    assert [[r.id for r in s.runs] for s in made] == [["r2"], ["r0"], ["r3"]]
    assert list(waiting) == ["r1"]


@pytest.mark.parametrize(
    ("cores", "slots", "wish", "each", "threads"),
    [(8, 8, {}, 1, 1), (8, 2, {}, 1, 4), (8, 8, {"threads": 4}, 4, 4), (2, 2, {"threads": 16}, 2, 16),
     (8, 4, {"processes": 2}, 2, 2), (2, 2, {"processes": 5}, 2, 1)],
)  # fmt: skip
def test_threads_and_processes_take_slots(cores: int, slots: int, wish: Any, each: int, threads: int) -> None:
    (start,), waiting = place([run(0, **wish)], Box(cores=cores, slots=slots))
    assert (start.slots, start.threads, waiting) == (each, threads, {})


def test_a_run_that_needs_several_slots_is_not_overtaken() -> None:
    big, small = run(0, processes=2, group="big"), run(1)
    made, waiting = place([big, small], Box(cores=2, slots=2, busy=1))
    assert made == []
    assert waiting == {"r0": "waits for 2 free CPU slots of 2", "r1": "waits for a free CPU slot (2 in use)"}


def test_twenty_runs_spread_over_four_gpus() -> None:
    queue = [run(n, gpus=None) for n in range(20)]
    made = starts(queue, Box(cores=16, slots=16, gpus=rooms()))
    assert [gpus for _, gpus in made] == [(0,), (1,), (2,), (3,)]
    assert sorted(run_id for ids, _ in made for run_id in ids) == sorted(r.id for r in queue)
    assert all(len(ids) == 5 for ids, _ in made)


def test_several_launches_on_one_gpu_by_count() -> None:
    queue = [run(n, gpus=None, pack=1) for n in range(20)]
    made, waiting = place(queue, Box(cores=16, slots=16, gpus=rooms(per_gpu=3), per_gpu=3))
    assert sorted(s.gpus for s in made) == sorted([(n,) for n in range(4)] * 3)
    assert len(waiting) == 8 and set(waiting.values()) == {"waits for a free GPU (4 in use)"}
    assert {s.threads for s in made} == {1}


def gpu(total: int, used: int = 0, *held: tuple[int, int | None]) -> Gpu:
    """A GPU of `total` GiB; `held` are process ids and the GiB that they hold."""
    sizes = tuple(GpuProcess(pid, None if size is None else size * GIB) for pid, size in held)
    return Gpu(0, "GPU", "GPU-0", total * GIB, used * GIB, None, sizes)


def test_twenty_runs_are_packed_as_they_declare() -> None:
    """Ten want 40 of a GPU's 137.7 GiB, ten want 90: three of the first or one of each fit on one."""
    queue = [run(n, gpus=None, pack=1, memory=(40 if n < 10 else 90) * GIB, group=n) for n in range(20)]
    made, waiting = place(queue, Box(cores=64, slots=64, gpus=rooms(1, per_gpu=8), per_gpu=8))
    on: dict[tuple[int, ...], list[str]] = {}
    for start in made:
        on.setdefault(start.gpus, []).append(start.runs[0].id)
    assert on == {(0,): ["r0", "r3", "r6"], (2,): ["r1", "r4", "r7"], (3,): ["r2", "r5", "r8"]}
    assert {start.memory for start in made} == {40 * GIB}
    assert waiting["r9"] == "waits for 40.0 GiB of GPU memory: a GPU has at most 17.7 GiB free"
    # It waits for room that these launches will give back: nobody overtakes it.
    assert set(waiting) == {f"r{n}" for n in range(9, 20)}


@pytest.mark.parametrize(
    ("reading", "ours", "free"),
    [
        (gpu(100), [], 100),
        (gpu(100, 1, (7, 1)), [], 99),  # a desktop
        (gpu(100, 0), [Occupant((0,), 60 * GIB)], 40),  # it has not taken anything yet, but it will
        (gpu(100, 20, (9, 20)), [Occupant((0,), 60 * GIB, frozenset({9}))], 40),
        (gpu(100, 70, (9, 70)), [Occupant((0,), 60 * GIB, frozenset({9}))], 30),  # it takes more than it said
        (gpu(100, 21, (9, 20), (7, 1)), [Occupant((0,), 60 * GIB, frozenset({9}))], 39),
        (gpu(100, 1, (7, 1)), [Occupant((0,), 60 * GIB)], 39),
        (gpu(100, 20), [Occupant((0,), 60 * GIB)], 40),  # a container: the driver lists nobody
        (gpu(100, 70), [Occupant((0,), 60 * GIB)], 30),
        (gpu(100, 20, (9, None)), [Occupant((0,), 60 * GIB, frozenset({9}))], 40),
        (gpu(100, 60, (8, 10), (9, 50)),
         [Occupant((0,), 30 * GIB, frozenset({8})), Occupant((0,), 40 * GIB, frozenset({9}))], 20),
        (gpu(100), [Occupant((0,))], 75),  # of unknown need: a quarter
        (gpu(100, 40, (9, 40)), [Occupant((0,), None, frozenset({9}))], 60),
        (gpu(100), [Occupant((1,), 60 * GIB)], 100),
    ],
)  # fmt: skip
def test_what_a_launch_may_still_take_is_not_free(reading: Gpu, ours: list[Occupant], free: int) -> None:
    (room,) = gpu_rooms([reading], ours, 4)
    assert room.memory == free * GIB


@pytest.mark.parametrize(
    ("need", "ours", "why"),
    [
        (None, [], ""),
        (None, [Occupant((0,))], ""),
        (50, [Occupant((0,), 50 * GIB)], ""),
        (None, [Occupant((0,), 60 * GIB)],
         "waits for 50.0 GiB of GPU memory: GPU 0 has 40.0 GiB free"),
        (60, [Occupant((0,), 50 * GIB)], "waits for 60.0 GiB of GPU memory: GPU 0 has 50.0 GiB free"),
        (60, [Occupant((0,), 1 * GIB), Occupant((0,), 1 * GIB)], "waits for GPU 0: another run uses it"),
        (101, [], "wants 101.0 GiB of GPU memory, GPU 0 has 100.0 GiB"),
    ],
)  # fmt: skip
def test_a_run_never_starts_on_memory_that_is_not_there(
    need: int | None, ours: list[Occupant], why: str
) -> None:
    asked = run(0, gpus=(0,), memory=None if need is None else need * GIB)

    def room() -> Box:
        return Box(cores=4, slots=4, gpus=gpu_rooms([gpu(100)], ours, 2), per_gpu=2)

    made, waiting = place([asked], room())
    assert waiting == ({"r0": why} if why else {})
    assert len(made) == (not why)
    assert has_room(asked, room()) == (not why)


def test_a_need_that_no_gpu_can_meet_holds_nobody_up() -> None:
    giant, small = run(0, gpus=None, memory=200 * GIB, group="giant"), run(1, gpus=None, memory=GIB)
    made, waiting = place([giant, small], Box(cores=4, slots=4, gpus=rooms()))
    assert [start.runs[0].id for start in made] == ["r1"]
    assert waiting == {"r0": "wants 200.0 GiB of GPU memory, the largest GPU here has 137.7 GiB"}
    pair = run(0, gpus=None, memory=200 * GIB, processes=2)
    assert place([pair], Box(4, 4, gpus=rooms()))[1] == {
        "r0": "wants 200.0 GiB of GPU memory, 2 GPUs here have 137.7 GiB"
    }


def test_runs_in_one_launch_need_as_much_as_the_largest_of_them() -> None:
    queue = [run(0, gpus=None, memory=10 * GIB), run(1, gpus=None, learned=30 * GIB), run(2, group="other")]
    made, _ = place(queue, Box(cores=4, slots=4, gpus=rooms(1, 2, 3)))
    assert [(len(start.runs), start.memory) for start in made] == [(2, 30 * GIB), (1, None)]
    unknown = [*queue[:2], run(3, gpus=None)]
    assert place(unknown, Box(4, 4, gpus=rooms(1, 2, 3)))[0][0].memory is None


def test_someone_elses_gpu_is_left_alone_and_named() -> None:
    queue = [run(0, gpus=(1,)), run(1, gpus=None, group="h"), run(2, gpus=None, group="i")]
    made, waiting = place(queue, Box(cores=4, slots=4, gpus=rooms(1, 2, 3)))
    assert [(s.runs[0].id, s.gpus) for s in made] == [("r1", (0,))]
    assert waiting["r0"] == "waits for GPU 1: process 77 holds 20.0 GiB"
    assert waiting["r2"] == "waits for a free GPU (4 in use)"


def test_memory_that_is_gone_counts_although_the_driver_lists_no_process() -> None:
    gpu = Gpu(0, "H200", "GPU-0", 141_000 * MIB, 5_120 * MIB)
    assert gpu_rooms([gpu], [], 1)[0].others == "somebody else holds 5.0 GiB"
    (room,) = gpu_rooms([gpu], [Occupant((0,))], 2)
    assert (room.free, room.ours, room.others) == (1, 1, "")


def test_a_desktop_is_no_neighbour_and_our_own_processes_are_not_strangers() -> None:
    desktop = Gpu(0, "GPU", "GPU-0", 8000 * MIB, 400 * MIB, None, (GpuProcess(5, 400 * MIB),))
    assert gpu_rooms([desktop], [], 1)[0].free == 1
    ours = Gpu(0, "GPU", "GPU-0", 80_000 * MIB, 30_000 * MIB, None, (GpuProcess(9, 30_000 * MIB),))
    (room,) = gpu_rooms([ours], [Occupant((0,), pids=frozenset({9}))], 2)
    assert (room.free, room.ours, room.others) == (1, 1, "")
    assert gpu_rooms([ours], [Occupant((0,))], 2)[0].free == 0
    unsized = Gpu(0, "GPU", "GPU-0", 80_000 * MIB, 30_000 * MIB, None, (GpuProcess(9, None),))
    assert gpu_rooms([unsized], [], 1)[0].others == "process 9 holds 29.3 GiB"
    assert gpu_rooms([unsized], [Occupant((0,))], 2)[0].free == 1


def test_runs_on_two_gpus_get_two_and_are_not_overtaken_for_ever() -> None:
    pair, single = run(0, gpus=None, processes=2, group="pair"), run(1, gpus=None)
    made, waiting = place([pair, single], Box(cores=4, slots=4, gpus=rooms(ours=[(0,), (1,), (2,)])))
    assert made == []
    assert waiting == {"r0": "waits for 2 free GPUs", "r1": "waits for a free GPU (4 in use)"}
    assert starts([pair, single], Box(4, 4, gpus=rooms(ours=[(0,), (1,)]))) == [(["r0"], (2, 3))]


def test_room_is_not_kept_for_a_run_that_a_stranger_holds_up() -> None:
    pair, single = run(0, gpus=(0, 1), processes=2, group="pair"), run(1, gpus=None)
    made, waiting = place([pair, single], Box(cores=4, slots=4, gpus=rooms(1)))
    assert [s.gpus for s in made] == [(0,)]
    assert waiting == {"r0": "waits for GPU 1: process 77 holds 20.0 GiB"}


@pytest.mark.parametrize(
    ("wish", "why"),
    [
        ({"gpus": (7,)}, "wants GPU 7, which this machine does not have"),
        ({"gpus": None, "processes": 8}, "wants 8 GPUs, this machine has 4"),
        ({"gpus": (1, 7), "processes": 2}, "wants 2 of GPUs 1, 7, of which this machine has 1"),
    ],
)
def test_what_the_machine_does_not_have_is_said(wish: Any, why: str) -> None:
    assert place([run(0, **wish)], Box(cores=4, slots=4, gpus=rooms())) == ([], {"r0": why})


def test_cpu_runs_do_not_wait_behind_gpu_runs() -> None:
    queue = [run(0, gpus=None), run(1, gpus=None), run(2, group="on the CPU")]
    made = starts(queue, Box(cores=2, slots=2, gpus=[GpuRoom(0, 0, 1)]))
    assert made == [(["r2"], ())]


def test_without_gpus_any_device_means_the_cpu() -> None:
    assert starts([run(0, gpus=None)], Box(cores=1, slots=1)) == [(["r0"], ())]


def test_a_submission_is_read_with_its_defaults() -> None:
    read = queued("a", {"attempt": 2, "order": 5, "gpus": [1, 0], "pack_key": "k"})
    assert (read.attempt, read.place, read.gpus, read.processes, read.pack) == (2, 5, (1, 0), 1, 0)
    assert read.need is None and queued("a", {"memory": 1.5}).need == 3 << 29
    assert queued("a", {"order": 5, "place": 3}).place == 3
    assert queued("a", {}).group != queued("b", {}).group


wishes = st.fixed_dictionaries(
    {
        "group": st.sampled_from("abc"),
        "priority": st.integers(0, 1),
        "gpus": st.sampled_from([None, "cpu", (0,), (0, 1), (2, 3)]),
        "processes": st.integers(1, 3),
        "threads": st.integers(0, 3),
        "pack": st.integers(0, 2),
        "fuse": st.booleans(),
        "settings": st.sampled_from("xy"),
        "memory": st.sampled_from([None, 20 * GIB, 100 * GIB, 200 * GIB]),
    }
)


@given(st.lists(wishes, max_size=12), st.integers(1, 4), st.integers(0, 5), st.integers(1, 2))
def test_every_run_starts_once_or_waits_and_no_room_is_used_twice(
    asked: list[dict[str, Any]], slots: int, busy: int, per_gpu: int
) -> None:
    # Runs of one group agree on what they need: the group's key holds it.
    alike = {"group", "priority", "gpus", "processes", "threads", "pack", "memory"}
    queue = [
        run(n, **wish | {"group": tuple(str(wish[key]) for key in sorted(alike))})
        for n, wish in enumerate(asked)
    ]
    queue.sort(key=lambda r: r.turn)
    box = Box(cores=4, slots=slots, busy=busy, gpus=rooms(3, ours=[(0,)], per_gpu=per_gpu), per_gpu=per_gpu)
    made, waiting = place(queue, box)
    carried = [r.id for start in made for r in start.runs]
    assert sorted([*carried, *waiting]) == sorted(r.id for r in queue)
    assert sum(start.slots for start in made) <= max(0, slots - busy)
    for gpu in range(4):
        limit = 0 if gpu == 3 else per_gpu - (gpu == 0)
        needs = [start.memory for start in made if gpu in start.gpus]
        assert len(needs) <= limit
        share = 141_000 * MIB // per_gpu
        promised = sum(share if need is None else need for need in needs) + share * (gpu == 0)
        assert promised <= 141_000 * MIB or needs == [None]
    for start in made:
        assert list(start.runs) == sorted(start.runs, key=lambda r: r.turn)  # else they would be taken back
        head = start.runs[0]
        assert {(r.group, r.priority) for r in start.runs} == {(head.group, head.priority)}
        assert len(start.runs) <= (head.pack or len(queue))
        assert not start.gpus or len(start.gpus) == head.processes
    assert all(waiting.values())
