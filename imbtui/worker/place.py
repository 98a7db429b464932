"""Which waiting runs start where, and why each of the others waits: a pure function."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from imbtui.gpus import MIB, Gpu
from imbtui.worker.listing import Queued

# Desktops and idle contexts hold a few hundred MiB; a training run holds more.
HELD_BY_OTHERS = 1024 * MIB


@dataclass
class GpuRoom:
    """How many more launches one GPU takes.

    Attributes:
        index: the GPU.
        free: launches that fit beside those of ours that are there.
        ours: launches of ours that are there.
        others: what somebody else holds, as a phrase; empty when nobody does.
    """

    index: int
    free: int
    ours: int = 0
    others: str = ""


@dataclass
class Box:
    """The machine's room now.

    Attributes:
        cores: CPU cores that this process may use.
        slots: launches of one process that may run on the CPU at once.
        busy: CPU slots taken.
        gpus: its GPUs.
        per_gpu: launches that a GPU takes at once.
    """

    cores: int
    slots: int
    busy: int = 0
    gpus: list[GpuRoom] = field(default_factory=list)
    per_gpu: int = 1

    @property
    def threads(self) -> int:
        """CPU threads of a process that takes one slot."""
        return max(1, self.cores // max(1, self.slots))


@dataclass(frozen=True)
class Start:
    """One launch to make.

    Attributes:
        runs: the runs it carries, in order.
        gpus: GPUs; empty: the CPU.
        slots: CPU slots it takes.
        threads: CPU threads of each process.
    """

    runs: tuple[Queued, ...]
    gpus: tuple[int, ...]
    slots: int
    threads: int


def gpu_rooms(
    gpus: Sequence[Gpu], ours: Sequence[tuple[int, ...]], mine: set[int], per_gpu: int
) -> list[GpuRoom]:
    """Return the room on each GPU.

    Args:
        gpus: readings.
        ours: the GPUs of each launch under way.
        mine: process ids that belong to those launches.
        per_gpu: launches that a GPU takes at once.
    """
    rooms = []
    for gpu in gpus:
        count = sum(gpu.index in launch for launch in ours)
        others = _others(gpu, count, mine)
        rooms.append(GpuRoom(gpu.index, 0 if others else max(0, per_gpu - count), count, others))
    return rooms


def _others(gpu: Gpu, ours: int, mine: set[int]) -> str:
    """Return who else holds memory on a GPU, as a phrase; empty when nobody holds much."""
    strangers = [process for process in gpu.processes if process.pid not in mine]
    sizes = [process.memory for process in strangers if process.memory is not None]
    if strangers and (sizes or not ours):
        # Where the driver gives no sizes, all that is used is theirs, for nothing is ours.
        held = sum(sizes) if sizes else gpu.memory_used
        return f"process {strangers[0].pid} holds {_size(held)}" if held > HELD_BY_OTHERS else ""
    # In a container the driver lists no processes of others, but their memory is still gone.
    if not ours and gpu.memory_used > HELD_BY_OTHERS:
        return f"somebody else holds {_size(gpu.memory_used)}"
    return ""


def _size(size: int) -> str:
    return f"{size / (1 << 30):.1f} GiB"


def place(queue: Sequence[Queued], box: Box) -> tuple[list[Start], dict[str, str]]:
    """Decide what starts now.

    The first in the queue is served first, together with all runs of its group and priority: they are
    dealt into as many launches as there is room for, so that they run side by side. A run that waits
    for room that this queue's own runs will give back is not overtaken by later ones: a run on two
    GPUs would otherwise wait for ever behind runs on one.

    Args:
        queue: waiting runs, next one first.
        box: the machine's room; changed to what is left of it.

    Returns:
        The launches to make, and for every other run one phrase that says why it waits.
    """
    groups: dict[tuple[Hashable, int], list[Queued]] = {}
    for run in queue:
        groups.setdefault((run.group, run.priority), []).append(run)
    starts: list[Start] = []
    waiting: dict[str, str] = {}
    for head in queue:
        members = groups.get((head.group, head.priority), [])
        while members:
            lanes, why = _lanes(head, len(members), box)
            if not lanes:
                waiting |= dict.fromkeys((run.id for run in members), why)
                break
            cap = head.pack or len(members)
            for number, lane in enumerate(lanes):
                starts.append(Start(tuple(members[number :: len(lanes)][:cap]), *lane))
            members = members[cap * len(lanes) :]
        groups.pop((head.group, head.priority), None)
    return starts, waiting


def on_cpu(run: Queued, box: Box) -> bool:
    """Whether a run trains on the CPU of this machine."""
    return run.gpus == "cpu" or (run.gpus is None and not box.gpus)


def has_room(run: Queued, box: Box) -> bool:
    """Whether one more launch like this run fits into what is left of the machine's room."""
    if on_cpu(run, box):
        return box.slots - box.busy >= _slots(run, box)
    free = [room for room in box.gpus if room.free and (run.gpus is None or room.index in run.gpus)]
    return len(free) >= run.processes


def _slots(run: Queued, box: Box) -> int:
    """Return the CPU slots of a launch: more threads than a slot has take several, but never all and more."""
    threads = run.threads or box.threads
    return min(box.slots, run.processes * -(-threads // box.threads))


# GPUs, CPU slots and threads of one launch.
Lane = tuple[tuple[int, ...], int, int]


def _lanes(head: Queued, wanted: int, box: Box) -> tuple[list[Lane], str]:
    """Take room for up to `wanted` launches like `head`; if there is none, say why."""
    if on_cpu(head, box):
        return _cpu_lanes(head, wanted, box)
    return _gpu_lanes(head, wanted, box)


def _cpu_lanes(head: Queued, wanted: int, box: Box) -> tuple[list[Lane], str]:
    each = _slots(head, box)
    count = min(wanted, max(0, box.slots - box.busy) // each)
    box.busy += count * each
    if count == 0:
        box.busy = max(box.busy, box.slots)
        if each > 1:
            return [], f"waits for {each} free CPU slots of {box.slots}"
        return [], f"waits for a free CPU slot ({box.slots} in use)"
    return [((), each, head.threads or box.threads)] * count, ""


def _gpu_lanes(head: Queued, wanted: int, box: Box) -> tuple[list[Lane], str]:
    allowed = [room for room in box.gpus if head.gpus is None or room.index in head.gpus]
    need = head.processes
    if len(allowed) < need:
        return [], _missing(head, len(allowed), len(box.gpus))
    threads = head.threads or max(1, box.cores // max(1, len(box.gpus) * box.per_gpu))
    lanes: list[Lane] = []
    while len(lanes) < wanted:
        free = sorted((r for r in allowed if r.free > 0), key=lambda r: (r.ours, r.index))[:need]
        if len(free) < need:
            break
        for room in free:
            room.free -= 1
            room.ours += 1
        lanes.append((tuple(sorted(room.index for room in free)), 0, threads))
    if lanes:
        return lanes, ""
    usable = [room for room in allowed if not room.others]
    if len(usable) >= need:
        for room in usable:
            room.free = 0
    return [], _busy(head, allowed)


def _missing(head: Queued, allowed: int, present: int) -> str:
    if head.gpus is None:
        return f"wants {head.processes} GPUs, this machine has {present}"
    named = ", ".join(str(index) for index in head.gpus)
    if head.processes == 1 == len(head.gpus):
        return f"wants GPU {named}, which this machine does not have"
    return f"wants {head.processes} of GPUs {named}, of which this machine has {allowed}"


def _busy(head: Queued, allowed: Sequence[GpuRoom]) -> str:
    taken = next((room for room in allowed if room.others), None)
    if taken is not None and len([room for room in allowed if not room.others]) < head.processes:
        return f"waits for GPU {taken.index}: {taken.others}"
    if head.processes > 1:
        return f"waits for {head.processes} free GPUs"
    if len(allowed) == 1:
        return f"waits for GPU {allowed[0].index}: another run uses it"
    return f"waits for a free GPU ({len(allowed)} in use)"
