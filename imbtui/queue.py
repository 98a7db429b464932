"""The queue as users see and change it: paused or not, how many slots, in which order, why each waits.

Its settings are one small file a host and runs folder, changed under a lock by whoever asks; the worker
reads it at every tick. The queue itself is nothing but the run folders that have not been launched.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from imbtui import files, folders, index, store
from imbtui.errors import UserError
from imbtui.paths import RunsPaths, host
from imbtui.worker import lock

NO_WORKER = "no worker runs: `imbtui worker start`"
IN_A_TERMINAL = "starts in the terminal that asked for it"
MEMORY_PER_SLOT = 1536 << 20  # a launcher and a trainer that have imported torch, with a small run's data


@dataclass(frozen=True)
class Settings:
    """What the user decided about this host's queue.

    Attributes:
        paused: nothing new is started.
        why: why it is paused, when it was not the user who paused it.
        slots: CPU launches at once; None: `default_slots`.
        gpu_slots: launches on one GPU at once.
    """

    paused: bool = False
    why: str = ""
    slots: int | None = None
    gpu_slots: int = 1


def settings(runs: RunsPaths) -> Settings:
    """Return the queue's settings; a file that is absent or damaged means the defaults."""
    document = files.read_json(runs.queue)
    if not isinstance(document, dict):
        return Settings()
    slots, gpu_slots = document.get("slots"), document.get("gpu_slots")
    return Settings(
        paused=document.get("paused") is True,
        why=str(document.get("why", "")),
        slots=slots if isinstance(slots, int) and slots > 0 else None,
        gpu_slots=gpu_slots if isinstance(gpu_slots, int) and gpu_slots > 0 else 1,
    )


def cores() -> int:
    """Return how many CPU cores this process may use."""
    return len(os.sched_getaffinity(0))


def default_slots() -> int:
    """Return how many CPU launches fit side by side: one a core, as long as there is memory for each."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(cores(), memory // MEMORY_PER_SLOT))


def pause(runs: RunsPaths, why: str = "") -> None:
    """Start nothing new; what runs goes on."""
    _change(runs, lambda now: replace(now, paused=True, why=why))


def resume(runs: RunsPaths) -> None:
    """Start queued runs again."""
    _change(runs, lambda now: replace(now, paused=False, why=""))
    lock.ensure(runs)


def set_slots(runs: RunsPaths, slots: int | None = None, *, gpu_slots: int | None = None) -> None:
    """Change how many launches run at once; None leaves a number as it is.

    Args:
        slots: launches on the CPU.
        gpu_slots: launches on one GPU.

    Raises:
        UserError: a number is below 1.
    """
    for name, number in (("slots", slots), ("gpu_slots", gpu_slots)):
        if number is not None and number < 1:
            raise UserError(f"at least one is needed, not {number}", where=name)
    _change(
        runs,
        lambda now: replace(now, slots=slots or now.slots, gpu_slots=gpu_slots or now.gpu_slots),
    )


def _change(runs: RunsPaths, change: Callable[[Settings], Settings]) -> None:
    with files.locked(runs.queue.with_suffix(".lock")):
        document = {"format": folders.FORMAT, **asdict(change(settings(runs)))}
        files.write_json(runs.queue, document)
    lock.ring(runs)


def view(runs: RunsPaths, active: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Return this host's active runs: those under way, then those that wait in the order of their turn.

    Each is `{id, state, why, gpus, position}`; `why` is one phrase and empty while a run trains,
    `position` counts waiting runs from 1 and is None for a run under way or with SLURM, whose jobs this queue
    does not order.

    Args:
        active: ids of the runs that are queued or running, where they are known; None: the index is asked.
    """
    worker_lives = lock.held(runs)
    reasons = lock.report(runs).get("waiting", {}) if worker_lives else {}
    chosen = settings(runs)
    running, waiting = _active(runs, active)
    rows: list[dict[str, Any]] = [
        {
            "id": v.id,
            "state": v.state,
            "why": "" if v.job is None or worker_lives else _last_heard(v.job.says),
            "gpus": list(v.gpus),
            "position": None,
        }
        for v in sorted(running, key=lambda v: v.order)
    ]
    position = 0
    for run in sorted(waiting, key=lambda run: run.job is None):
        why = reason_of(
            reasons.get(run.id),
            run.reason,
            otherwise=default_reason(chosen, worker_lives),
            followed=run.job is None or worker_lives,
            here=run.here,
        )
        position += run.job is None
        gpus = list(run.gpus)
        turn = position if run.job is None else None
        rows.append({"id": run.id, "state": run.state, "why": why, "gpus": gpus, "position": turn})
    return rows


def reason_of(told: str | None, says: str, *, otherwise: str, followed: bool, here: bool) -> str:
    """Return why a run waits, in one phrase: the worker knows more than the run's folder.

    Args:
        told: what the worker says of it.
        says: what its folder says.
        otherwise: what holds a run of which neither says anything, see `default_reason`.
        followed: whether somebody would notice if a scheduler's job carries it.
        here: whether it belongs to `run --here`.
    """
    if here:
        return IN_A_TERMINAL
    return told or says or otherwise if followed else _last_heard(says)


def _last_heard(says: str) -> str:
    return f"{NO_WORKER}; last heard: {says}"


def default_reason(chosen: Settings, worker_lives: bool) -> str:
    """Return what holds a queued run of which neither the worker nor its folder says anything."""
    if chosen.paused:
        return paused_phrase(chosen)
    return "just submitted" if worker_lives else NO_WORKER


def paused_phrase(chosen: Settings) -> str:
    """Return why a paused queue starts nothing, as one phrase."""
    return f"the queue is paused: {chosen.why}" if chosen.why else "the queue is paused"


def _active(
    runs: RunsPaths, ids: Sequence[str] | None = None
) -> tuple[list[store.RunView], list[store.RunView]]:
    """Return this host's running runs, and its queued runs in the order of their turn."""
    if ids is None:
        ids = [row["id"] for row in index.query(runs) if row["state"] in store.ACTIVE]
    mine = [v for v in (store.read(runs.run(i)) for i in ids) if v.host == host()]
    waiting = [v for v in mine if v.state == "queued"]
    return [v for v in mine if v.state == "running"], sorted(waiting, key=_turn)


def _turn(run: store.RunView) -> tuple[int, int, str]:
    return (-run.priority, run.submit.get("place", run.order), run.id)


def move(runs: RunsPaths, run_id: str, position: int) -> None:
    """Give a waiting run another turn.

    It takes over the priority of the runs between which it comes to stand.

    Args:
        run_id: the run.
        position: its new place among the waiting runs, from 1.

    Raises:
        UserError: the run does not wait, or the position is below 1.
    """
    if position < 1:
        raise UserError(f"positions count from 1, not {position}", where="position")
    _, waiting = _active(runs)
    free = [v for v in waiting if not v.here and v.job is None]
    moved = next((v for v in free if v.id == run_id), None)
    if moved is None and any(v.id == run_id and v.job is not None for v in waiting):
        raise UserError("it cannot be moved: SLURM has it, and an order of its own", where=run_id)
    if moved is None:
        raise UserError(f"it cannot be moved: it is {store.read(runs.run(run_id)).state}", where=run_id)
    free.remove(moved)
    at = min(position - 1, len(free))
    if not free:
        return
    before = free[at - 1] if at > 0 else None
    behind = free[at] if at < len(free) else None
    found = _between(before, behind)
    if found is None:
        # So many were moved between the same two that no number is left: spread all of them out.
        for number, run in enumerate([*free[:at], moved, *free[at:]]):
            folders.update_submit(run.path, place=free[0].order + number * _SPACING)
        found = {"priority": free[min(at, len(free) - 1)].priority}
    folders.update_submit(moved.path, **found)
    lock.ring(runs)


_SPACING = 10**9


def _between(before: store.RunView | None, behind: store.RunView | None) -> dict[str, int] | None:
    """Return priority and place that sort between two neighbours (one may be missing), or None if none do."""

    def place_of(run: store.RunView) -> int:
        return run.submit.get("place", run.order)

    if behind is None:
        assert before is not None
        return {"priority": before.priority, "place": place_of(before) + _SPACING}
    if before is None or before.priority != behind.priority:
        return {"priority": behind.priority, "place": place_of(behind) - _SPACING}
    middle = (place_of(before) + place_of(behind)) // 2
    if middle == place_of(before):
        return None
    return {"priority": behind.priority, "place": middle}
