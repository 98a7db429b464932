"""Which runs wait here, found cheaply tick after tick among thousands that do not.

A run that has ended changes only when its submit.json does, and those who change it ring the bell; so a
tick in which nothing happened costs two stats. Every ten seconds everything is looked at all the same.
"""

from __future__ import annotations

import os
import time
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from imbtui import files, shapes, store
from imbtui.launch import NOTHING, Request
from imbtui.paths import RunPaths, RunsPaths, host
from imbtui.worker import lock, states

SWEEP_EVERY = 10.0  # seconds
GIB = 1 << 30
CONTEXT = GIB  # what the driver and its libraries take of a GPU beside what torch counts, at most
ARRIVAL = 2.0  # seconds to wait for the rest of a study whose first run folders appear


@dataclass(frozen=True)
class Queued:
    """One run that waits, and all that placing it needs to know.

    Attributes:
        id, attempt: which run, and which try at it.
        priority: higher goes first.
        place: lower goes first among equal priorities.
        group: runs of equal groups may share a launch.
        gpus: GPU indices that may be used; `"cpu"`: none; None: any, else the CPU.
        processes: ranks that train it together.
        memory: bytes that each of them needs of its GPU, as the recipe declares; None: it does not.
        learned: bytes that a run like it took of a GPU; None: there was none.
        settings: equal for runs that differ in nothing but seeds; empty: unknown.
        threads: CPU threads of each; 0: as many as a slot has.
        pack: most runs in one launch; 0: no limit.
        fuse: whether it trains together with runs of equal settings in its launch.
        grace: seconds between asking it to stop and killing it.
        data: data root it was submitted with; None: the default.
        executor: where it is launched: `local` or `slurm`.
        request: what its launch asks a scheduler for.
    """

    id: str
    attempt: int
    priority: int = 0
    place: int = 0
    group: Hashable = ()
    gpus: tuple[int, ...] | str | None = None
    processes: int = 1
    memory: int | None = None
    learned: int | None = None
    settings: str = ""
    threads: int = 0
    pack: int = 0
    fuse: bool = False
    grace: float = 30.0
    data: str | None = None
    executor: str = "local"
    request: Request = NOTHING

    @property
    def need(self) -> int | None:
        """Bytes that each of its processes needs of a GPU; None: unknown."""
        return self.learned if self.memory is None else self.memory

    @property
    def turn(self) -> tuple[int, int, str]:
        """Sort key of the queue."""
        return (-self.priority, self.place, self.id)


def queued(run_id: str, submit: Mapping[str, Any]) -> Queued:
    """Return what a run's submit.json, which is not damaged, asks for."""
    wish = submit.get("gpus")
    gpus = tuple(wish) if isinstance(wish, list) else wish
    processes = submit.get("processes", 1)
    declared = submit.get("memory")
    threads = submit.get("threads", 0)
    data = submit.get("data")
    executor = submit.get("executor", "local")
    request = Request.of(submit.get("slurm"), wish) if executor == "slurm" else NOTHING
    return Queued(
        id=run_id,
        attempt=submit.get("attempt", 1),
        priority=submit.get("priority", 0),
        place=submit.get("place", submit.get("order", 0)),
        group=(submit.get("pack_key") or run_id, gpus, processes, threads, data, request),
        gpus=gpus,
        processes=processes,
        memory=None if declared is None else int(declared * GIB),
        settings=submit.get("settings", ""),
        threads=threads,
        pack=submit.get("pack", 0),
        fuse=submit.get("fuse", False),
        grace=submit.get("grace", 30.0),
        data=data,
        executor=executor,
        request=request,
    )


@dataclass
class _Known:
    stamp: tuple[int, int] | None  # of submit.json; None: to be read anew
    waiting: Queued | None = None
    stopped: bool = False


class Listing:
    """The runs of one runs folder as this host's worker sees them.

    Attributes:
        bell: the ring that was heard last, as `lock.bell` tells it.
    """

    def __init__(self, runs: RunsPaths) -> None:
        self._runs = runs
        self._known: dict[str, _Known] = {}
        self._took: dict[tuple[str, int], int] = {}
        self.bell = self._folder_stamp = (-1, -1)
        self._again = False
        self._arriving: float | None = None
        self._swept = float("-inf")

    def refresh(self) -> list[tuple[str, dict[str, Any]]]:
        """Look for what is new.

        Returns:
            Runs that turned out to be in a launch: id and state.json of the current attempt.
        """
        bell, stamp = lock.bell(self._runs), _stamp(self._runs.root)
        rang = bell != self.bell
        sweep = rang or time.monotonic() - self._swept > SWEEP_EVERY
        moved = stamp != self._folder_stamp
        if not (sweep or moved or self._again):
            return []
        # A folder changed twice within one clock tick shows one time of change: look once more.
        self._again = moved
        self.bell, self._folder_stamp = bell, stamp
        if sweep:
            self._swept = time.monotonic()
        present = store.list_ids(self._runs)
        for gone in self._known.keys() - set(present):
            del self._known[gone]
        launched = []
        for run_id in present:
            known = self._known.get(run_id)
            if known is not None and known.stamp is not None and not sweep:
                continue
            stamp = _stamp(f"{self._runs.root}/{run_id}/submit.json")  # a Path each would cost ten times that
            if known is not None and known.stamp == stamp:
                if known.waiting is not None:
                    known.stopped = store.stop_asked(self._runs.run(run_id), known.waiting.attempt)
                continue
            run = self._runs.run(run_id)
            self._known[run_id] = found = _Known(stamp)
            state = self._look(run, found)
            if state is not None:
                launched.append((run_id, state))
            if known is None and found.waiting and self._arriving is None:
                self._arriving = time.monotonic()
        if rang:
            self._arriving = None
        return launched

    def complete(self) -> bool:
        """Whether the waiting runs are all that their submitters have in mind.

        Folders of a study appear one by one, and whoever makes them rings when they are all there: a
        launch begun before would carry the first of them only.
        """
        return self._arriving is None or time.monotonic() - self._arriving > ARRIVAL

    def waiting(self) -> list[Queued]:
        """Return the queued runs of this host, next one first."""
        return sorted((k.waiting for k in self._known.values() if k.waiting), key=lambda run: run.turn)

    def settled(self) -> bool:
        """Whether nothing is left to be read anew."""
        return not self._again

    def is_stopped(self, run: Queued) -> bool:
        """Whether the user asked a waiting run to stop."""
        return self._known[run.id].stopped

    def look_again(self, run_id: str) -> None:
        """Read a run anew at the next refresh: it may have come back to the queue."""
        if run_id in self._known:
            self._known[run_id] = _Known(None)
        self._again = True

    def _look(self, run: RunPaths, known: _Known) -> dict[str, Any] | None:
        submit = store.read_submit(run)
        if submit is None or submit.get("host") != host() or submit.get("here"):
            return None
        attempt = submit.get("attempt", 1)
        state = states.read(run, attempt)
        if state is not None:
            if state.get("state") == "running":
                return state
            self._learn(submit, state)
            return None
        if shapes.cleaned(files.read_json(run.result), shapes.RESULT).get("attempt") == attempt:
            return None
        if store.registered(run, attempt):
            return None  # somebody trains it by hand
        known.waiting = self._informed(queued(run.id, submit))
        known.stopped = store.stop_asked(run, attempt)
        return None

    def _learn(self, submit: Mapping[str, Any], state: Mapping[str, Any]) -> None:
        """Remember what a run took of its GPU, for those that wait and differ from it in seeds only."""
        took, settings = state.get("gpu_memory"), submit.get("settings")
        if took is None or not settings:
            return
        alike = (settings, submit.get("processes") or 1)
        if took + CONTEXT <= self._took.get(alike, 0):
            return
        self._took[alike] = took + CONTEXT
        for known in self._known.values():
            if known.waiting is not None and (known.waiting.settings, known.waiting.processes) == alike:
                known.waiting = self._informed(known.waiting)

    def _informed(self, run: Queued) -> Queued:
        learned = self._took.get((run.settings, run.processes)) if run.settings else None
        return run if learned is None else replace(run, learned=learned)


def _stamp(path: str | Path) -> tuple[int, int]:
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return (0, 0)
    return (status.st_ino, status.st_mtime_ns)
