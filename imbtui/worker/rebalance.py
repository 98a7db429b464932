"""Taking runs back that wait inside a launch, so that order and idle room count for them as well.

A launch carries many runs because starting one costs seconds. Without this, a run that was moved to the
front would wait for hundreds of others, and one half of a study for its slow half, beside an idle slot.
"""

from __future__ import annotations

from collections.abc import Sequence

from imbtui.worker.carried import Carried, Launch
from imbtui.worker.listing import Queued
from imbtui.worker.place import Box, has_room, on_cpu

WORTH = 30.0  # seconds of work behind a run from which a launch of its own pays


def to_take_back(
    launches: Sequence[Launch], waiting: Sequence[Queued], box: Box, *, now: float, worth: float = WORTH
) -> tuple[Launch, list[Carried]] | None:
    """Return a launch and the runs in it that should go back to the queue, or None.

    There are three reasons: the user changed their order; a run that waits comes before them; room is idle
    that nobody else wants. One launch is shortened for one reason at a time.

    Args:
        launches: launches under way.
        waiting: runs that found no room, next one first.
        box: the room that is left.
        now: the monotonic clock.
        worth: seconds of work that must be waiting before idle room is given to it.
    """
    behind = [(launch, runs) for launch in launches if (runs := launch.behind())]
    for launch, runs in behind:
        turns = [run.wish.turn for run in runs]
        if turns != sorted(turns):
            return launch, runs
    if waiting:
        return _for_earlier(launches, behind, waiting, box)
    return _for_idle_room(behind, box, now, worth)


def _for_earlier(
    launches: Sequence[Launch],
    behind: Sequence[tuple[Launch, list[Carried]]],
    waiting: Sequence[Queued],
    box: Box,
) -> tuple[Launch, list[Carried]] | None:
    for first in waiting:
        if any(launch.shortened and _competes(first, launch, box) for launch in launches):
            continue
        later = [
            (launch, [run for run in runs if run.wish.turn > first.turn])
            for launch, runs in behind
            if _competes(first, launch, box)
        ]
        later = [(launch, runs) for launch, runs in later if runs]
        if later:
            return max(later, key=lambda pair: pair[1][0].wish.turn)
    return None


def _competes(run: Queued, launch: Launch, box: Box) -> bool:
    """Whether a run waits for room that a launch uses."""
    if on_cpu(run, box):
        return not launch.gpus
    return bool(launch.gpus) and (run.gpus is None or not set(run.gpus).isdisjoint(launch.gpus))


def _for_idle_room(
    behind: Sequence[tuple[Launch, list[Carried]]], box: Box, now: float, worth: float
) -> tuple[Launch, list[Carried]] | None:
    for launch, runs in sorted(behind, key=lambda pair: -len(pair[1])):
        done = sum(run.over for run in launch.runs)
        each = (now - launch.since) / (done + 1)  # seconds a run has taken so far, the start included
        if each * len(runs) > worth and has_room(runs[0].wish, box):
            return launch, runs[1::2] or runs
    return None
