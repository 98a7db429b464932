"""Which waiting runs start where, and why each of the others waits: a pure function."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from imbtui.gpus import MIB, Gpu
from imbtui.worker.listing import Queued

# Desktops and idle contexts hold a few hundred MiB; a training run holds more.
HELD_BY_OTHERS = 1024 * MIB


@dataclass(frozen=True)
class Occupant:
    """A launch of ours on GPUs.

    Attributes:
        gpus: its GPUs.
        need: bytes that it may take of each of them; None: unknown.
        pids: its processes.
    """

    gpus: tuple[int, ...]
    need: int | None = None
    pids: frozenset[int] = frozenset()


@dataclass
class GpuRoom:
    """How many more launches one GPU takes.

    Attributes:
        index: the GPU.
        free: launches that fit beside those of ours that are there.
        ours: launches of ours that are there.
        others: what somebody else holds, as a phrase; empty when nobody does.
        memory: bytes that are free, and that no launch of ours there may still take.
        share: bytes that a launch of unknown need must find there beside others of ours.
        total: bytes that it has.
    """

    index: int
    free: int
    ours: int = 0
    others: str = ""
    memory: int = 0
    share: int = 0
    total: int = 0

    def takes(self, need: int | None) -> bool:
        """Whether one more launch fits, by count and by memory. Alone, one of unknown need always does."""
        return self.free > 0 and self.memory >= self.costs(need)

    def costs(self, need: int | None) -> int:
        """Return the bytes that a launch must find free here."""
        return need if need is not None else self.share if self.ours else 0

    def take(self, need: int | None) -> None:
        """Give room to one more launch."""
        self.free -= 1
        self.ours += 1
        self.memory -= self.share if need is None else need


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
        memory: bytes that it may take of each GPU; None: unknown.
    """

    runs: tuple[Queued, ...]
    gpus: tuple[int, ...]
    slots: int
    threads: int
    memory: int | None = None


def gpu_rooms(gpus: Sequence[Gpu], ours: Sequence[Occupant], per_gpu: int) -> list[GpuRoom]:
    """Return the room on each GPU.

    Args:
        gpus: readings.
        ours: the launches under way.
        per_gpu: launches that a GPU takes at once.
    """
    return [_room(gpu, [launch for launch in ours if gpu.index in launch.gpus], per_gpu) for gpu in gpus]


def _room(gpu: Gpu, ours: Sequence[Occupant], per_gpu: int) -> GpuRoom:
    others = _others(gpu, len(ours), {pid for launch in ours for pid in launch.pids})
    sizes = {process.pid: process.memory or 0 for process in gpu.processes}
    held = [sum(sizes.pop(pid, 0) for pid in launch.pids) for launch in ours]
    # Where the driver does not say what ours hold, all that is used beside listed strangers may be theirs.
    strangers = max(sum(sizes.values()), gpu.memory_used - sum(held) if all(held) else 0)
    share = max(0, gpu.memory_total - strangers) // per_gpu
    # What a launch has not taken yet is not free: it will.
    promised = sum(
        max(now, share if launch.need is None else launch.need)
        for now, launch in zip(held, ours, strict=True)
    )
    return GpuRoom(
        gpu.index,
        free=0 if others else max(0, per_gpu - len(ours)),
        ours=len(ours),
        others=others,
        memory=max(0, gpu.memory_total - max(gpu.memory_used, strangers + promised)),
        share=share,
        total=gpu.memory_total,
    )


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
            need = _need(members)
            lanes, why = _lanes(head, need, len(members), box)
            if not lanes:
                waiting |= dict.fromkeys((run.id for run in members), why)
                break
            cap = head.pack or len(members)
            now, members = members[: cap * len(lanes)], members[cap * len(lanes) :]
            for runs, lane in zip(_dealt(now, len(lanes), cap), lanes, strict=True):
                starts.append(Start(tuple(runs), *lane, memory=need if lane[0] else None))
        groups.pop((head.group, head.priority), None)
    return starts, waiting


def _dealt(members: Sequence[Queued], hands: int, cap: int) -> list[Sequence[Queued]]:
    """Deal runs one by one to launches; those that train together stay in one, where each gets some."""
    bundles: dict[str, list[Queued]] = {}
    for run in members:
        bundles.setdefault(run.settings if run.fuse and run.settings else run.id, []).append(run)
    if len(bundles) < hands or cap < len(members):
        return [members[number::hands] for number in range(hands)]
    dealt: list[list[Queued]] = [[] for _ in range(hands)]
    for bundle in bundles.values():
        min(dealt, key=len).extend(bundle)
    return [sorted(hand, key=lambda run: run.turn) for hand in dealt]


def batches(queue: Sequence[Queued]) -> list[tuple[Queued, ...]]:
    """Return which runs share a job of a scheduler.

    Each has one of its own, unless `train.pack` says how many share one; those that train together share
    one as well.

    Args:
        queue: waiting runs, next one first.
    """
    jobs: list[list[Queued]] = []
    filling: dict[Hashable, list[Queued]] = {}
    for run in queue:
        fuses = run.settings if run.fuse else ""
        most = run.pack or (len(queue) if fuses else 1)
        job = filling.get((run.group, fuses))
        if job is None or len(job) >= most:
            job = filling[run.group, fuses] = []
            jobs.append(job)
        job.append(run)
    return [tuple(job) for job in jobs]


def _need(members: Sequence[Queued]) -> int | None:
    """Return the bytes that any of these runs may take of a GPU; None when that of one is unknown."""
    needs = [run.need for run in members]
    return None if None in needs else max(need for need in needs if need is not None)


def on_cpu(run: Queued, box: Box) -> bool:
    """Whether a run trains on the CPU of this machine."""
    return run.gpus == "cpu" or (run.gpus is None and not box.gpus)


def has_room(run: Queued, box: Box) -> bool:
    """Whether one more launch like this run fits into what is left of the machine's room."""
    if on_cpu(run, box):
        return box.slots - box.busy >= _slots(run, box)
    free = [r for r in box.gpus if r.takes(run.need) and (run.gpus is None or r.index in run.gpus)]
    return len(free) >= run.processes


def _slots(run: Queued, box: Box) -> int:
    """Return the CPU slots of a launch: more threads than a slot has take several, but never all and more."""
    threads = run.threads or box.threads
    return min(box.slots, run.processes * -(-threads // box.threads))


# GPUs, CPU slots and threads of one launch.
Lane = tuple[tuple[int, ...], int, int]


def _lanes(head: Queued, need: int | None, wanted: int, box: Box) -> tuple[list[Lane], str]:
    """Take room for up to `wanted` launches like `head`; if there is none, say why."""
    if on_cpu(head, box):
        return _cpu_lanes(head, wanted, box)
    return _gpu_lanes(head, need, wanted, box)


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


def _gpu_lanes(head: Queued, need: int | None, wanted: int, box: Box) -> tuple[list[Lane], str]:
    allowed = [room for room in box.gpus if head.gpus is None or room.index in head.gpus]
    count = head.processes
    if len(allowed) < count:
        return [], _missing(head, len(allowed), len(box.gpus))
    large = [room for room in allowed if need is None or room.total >= need]
    if need is not None and len(large) < count:
        return [], _too_large(need, count, allowed)
    threads = head.threads or max(1, box.cores // max(1, len(box.gpus) * box.per_gpu))
    lanes: list[Lane] = []
    while len(lanes) < wanted:
        free = sorted((r for r in large if r.takes(need)), key=lambda r: (r.ours, r.index))[:count]
        if len(free) < count:
            break
        for room in free:
            room.take(need)
        lanes.append((tuple(sorted(room.index for room in free)), 0, threads))
    if lanes:
        return lanes, ""
    why = _busy(head, need, large)
    usable = [room for room in large if not room.others]
    if len(usable) >= count:
        for room in usable:
            room.free = 0
    return [], why


def _missing(head: Queued, allowed: int, present: int) -> str:
    if head.gpus is None:
        return f"wants {head.processes} GPUs, this machine has {present}"
    named = ", ".join(str(index) for index in head.gpus)
    if head.processes == 1 == len(head.gpus):
        return f"wants GPU {named}, which this machine does not have"
    return f"wants {head.processes} of GPUs {named}, of which this machine has {allowed}"


def _too_large(need: int, count: int, allowed: Sequence[GpuRoom]) -> str:
    largest = _size(sorted((room.total for room in allowed), reverse=True)[count - 1])
    here = f"GPU {allowed[0].index} has" if len(allowed) == 1 else f"{count} GPUs here have"
    if len(allowed) > 1 and count == 1:
        here = "the largest GPU here has"
    return f"wants {_size(need)} of GPU memory, {here} {largest}"


def _busy(head: Queued, need: int | None, allowed: Sequence[GpuRoom]) -> str:
    taken = next((room for room in allowed if room.others), None)
    if taken is not None and len([room for room in allowed if not room.others]) < head.processes:
        return f"waits for GPU {taken.index}: {taken.others}"
    # By count there is room on these: it is memory that lacks.
    cramped = [room for room in allowed if room.free and not room.takes(need)]
    if cramped and len([room for room in allowed if room.free]) >= head.processes:
        most = max(cramped, key=lambda room: room.memory)
        where = f"GPU {most.index} has" if len(allowed) == 1 else "a GPU has at most"
        return f"waits for {_size(most.costs(need))} of GPU memory: {where} {_size(most.memory)} free"
    if head.processes > 1:
        return f"waits for {head.processes} free GPUs"
    if len(allowed) == 1:
        return f"waits for GPU {allowed[0].index}: another run uses it"
    return f"waits for a free GPU ({len(allowed)} in use)"
