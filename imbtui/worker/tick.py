"""The worker's whole day: reap what ended and tell of it, obey stops, start what fits, sync the index.

Whatever it knows stands in the run folders, and a new worker reads it there. Each step may be cut off by
a kill at any point and is then done again from its beginning.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from imbtui import files, folders, index, processes, queue, store
from imbtui.gpus import Gpu, list_gpus
from imbtui.launch import ENGINE, LAUNCH_MARK, Executor, Order, Refused
from imbtui.launch.local import Local
from imbtui.launch.slurm import Slurm
from imbtui.paths import RunsPaths
from imbtui.processes import Identity
from imbtui.worker import lock, states
from imbtui.worker.carried import Carried, Launch, adopted, log_of, wish_of
from imbtui.worker.listing import Listing, Queued
from imbtui.worker.notify import Notifier
from imbtui.worker.place import Box, Occupant, Start, batches, gpu_rooms, place
from imbtui.worker.reap import Reaper
from imbtui.worker.rebalance import WORTH, to_take_back

LEFT_BEHIND = 3600.0  # seconds after which no writer can still be busy with a temporary file
SUBMITTED_AT_ONCE = 10  # jobs given to a scheduler in one tick: nothing else is done meanwhile
AFTER_REBOOT = "the machine was restarted while runs were waiting"


@dataclass(frozen=True)
class Options:
    """What tests replace.

    Attributes:
        module: the module that trains.
        cores: CPU cores to use; None: those this process may use.
        gpus: reads the machine's GPUs.
        leave_patience: seconds a process may take to leave once its run's result is written.
        executor: where launches of this machine run; None: on it.
        worth: seconds of work that must wait in a launch before idle room is given to it.
    """

    module: str = ENGINE
    cores: int | None = None
    gpus: Callable[[], list[Gpu]] = list_gpus
    leave_patience: float = 30.0
    executor: Executor[Any] | None = None
    worth: float = WORTH


class Worker:
    """Starts and follows the launches of one runs folder on this host. Its caller holds the lock.

    Args:
        runs: the runs folder.
        options: see `Options`.
    """

    def __init__(self, runs: RunsPaths, options: Options | None = None) -> None:
        self.runs = runs
        self.launches: list[Launch] = []
        self._options = options or Options()
        self._slurm = Slurm()
        self._executors: dict[str, Executor[Any]] = {
            "local": self._options.executor or Local(),
            "slurm": self._slurm,
        }
        self._listing = Listing(runs)
        self._notifier = Notifier(runs)
        self._reaper = Reaper(
            runs,
            self._executors,
            changed=self._changed,
            ended=self._notifier.ended,
            leave_patience=self._options.leave_patience,
        )
        self._unsynced: set[str] = set()
        self._why: dict[str, str] = {}
        self._me = {**Identity.mine().to_json(), "since": folders.now()}
        self._said: dict[str, Any] = {}
        self._pause_after_reboot()
        with contextlib.suppress(OSError):  # on a full disk every tick tries again
            files.sweep_temporaries(runs.root, older_than=LEFT_BEHIND)
            self._report(idle=False)

    def tick(self) -> None:
        """Bring everything one step further.

        Raises:
            OSError: the disk is full or the runs folder gone. Nothing is lost: the next tick tries again.
        """
        self._adopt(self._listing.refresh())
        if self._has_jobs():
            self._slurm.step()
        self.launches = [launch for launch in self.launches if not self._reaper.reap(launch)]
        self._notifier.step()
        for launch in self.launches:
            self._reaper.obey_stops(launch)
        try:
            self._start()
        finally:
            self._sync()
            self._report(idle=False)

    def _has_jobs(self) -> bool:
        followed = any(launch.executor == "slurm" for launch in self.launches)
        return followed or any(run.executor == "slurm" for run in self._listing.waiting())

    def idle(self) -> bool:
        """Whether nothing runs and nothing may start."""
        if self.launches or self._unsynced or self._notifier.busy or not self._listing.settled():
            return False
        return not self._listing.waiting() or queue.settings(self.runs).paused

    def leave(self) -> tuple[int, int]:
        """Say that nothing was left to do; return which ring of the bell was heard last."""
        self._report(idle=True)
        return self._listing.bell

    def _changed(self, run_id: str) -> None:
        self._unsynced.add(run_id)
        self._slurm.hurry()
        self._listing.look_again(run_id)

    def _adopt(self, found: list[tuple[str, dict[str, Any]]]) -> None:
        """Follow what an earlier worker launched; learn of new turns of runs that wait in a launch."""
        known = {run.id: run for launch in self.launches for run in launch.open()}
        strangers = []
        for run_id, state in found:
            if run_id in known:
                wish = wish_of(self.runs, run_id)
                known[run_id].wish = replace(wish, attempt=known[run_id].attempt)
            elif state.get("launch") not in {launch.id for launch in self.launches}:
                strangers.append((run_id, state))
        if strangers:
            kills = processes.out_of_memory_kills()
            self.launches += adopted(
                self.runs, strangers, self._executors, now=time.monotonic(), memory_kills=kills
            )

    def _start(self) -> None:
        """Start what fits, and note why everything else waits."""
        waiting = self._listing.waiting()
        here = {run.id for run in waiting}
        leaving = {
            run.id for launch in self.launches for run in launch.runs if run.id in here and run.is_there()
        }
        waiting = [run for run in waiting if run.id not in leaving]
        for run in [run for run in waiting if self._listing.is_stopped(run)]:
            states.write_ended(self.runs.run(run.id), attempt=run.attempt, how="stopped")
            self._changed(run.id)
            waiting.remove(run)
        if not self._listing.complete():
            return
        chosen = queue.settings(self.runs)
        if chosen.paused:
            # A launch under way would go on with the hundreds that it carries.
            for launch in self._launches_here():
                if behind := launch.behind():
                    self._reaper.take_back(launch, behind)
            self._why = dict.fromkeys((run.id for run in waiting), queue.paused_phrase(chosen))
            return
        local = [run for run in waiting if run.executor == "local"]
        box = self._box(chosen, local)
        starts, self._why = place(local, box)
        self._why |= dict.fromkeys(leaving, "its last attempt is still leaving")
        for start in starts:
            self._launch(start)
        left = [run for run in local if run.id in self._why]
        back = to_take_back(self._launches_here(), left, box, now=time.monotonic(), worth=self._options.worth)
        if back is not None:
            self._reaper.take_back(*back)
        self._submit([run for run in waiting if run.executor == "slurm"])

    def _launches_here(self) -> list[Launch]:
        """Return the launches that this queue orders: what a scheduler has taken is in its order."""
        return [launch for launch in self.launches if launch.executor == "local"]

    def _submit(self, waiting: list[Queued]) -> None:
        """Give runs to the scheduler, as many as it takes: it has a queue of its own."""
        jobs = batches(waiting)
        for number, runs in enumerate(jobs):
            why = self._slurm.takes_none() or ("SLURM is asked next" if number >= SUBMITTED_AT_ONCE else "")
            if why:
                self._why |= dict.fromkeys((run.id for job in jobs[number:] for run in job), why)
                return
            self._launch(Start(runs, gpus=(), slots=0, threads=runs[0].threads), "slurm")

    def _box(self, chosen: queue.Settings, waiting: list[Queued]) -> Box:
        asked_for = any(run.gpus != "cpu" for run in waiting)
        matter = asked_for or any(launch.gpus and launch.behind() for launch in self._launches_here())
        gpus = self._options.gpus() if matter else []
        holders = {process.pid for gpu in gpus for process in gpu.processes}
        marks = {pid: processes.environment_value(pid, LAUNCH_MARK) for pid in holders}
        ours = [
            Occupant(launch.gpus, launch.memory, frozenset(pid for pid in holders if marks[pid] == launch.id))
            for launch in self._launches_here()
        ]
        return Box(
            cores=self._options.cores or queue.cores(),
            slots=chosen.slots or self._options.cores or queue.default_slots(),
            busy=sum(launch.slots for launch in self.launches),
            gpus=gpu_rooms(gpus, ours, chosen.gpu_slots),
            per_gpu=chosen.gpu_slots,
        )

    def _launch(self, start: Start, executor: str = "local") -> None:
        carried = [self._carry(run) for run in start.runs]
        mark = secrets.token_hex(6)
        launch = Launch(
            id=mark,
            runs=carried,
            log=log_of(self.runs, mark, carried),
            gpus=start.gpus,
            slots=start.slots,
            processes=start.runs[0].processes,
            memory=start.memory,
            since=time.monotonic(),
            at=folders.now(),
            executor=executor,
            memory_kills=processes.out_of_memory_kills(),
        )
        try:
            self.runs.launches.mkdir(mode=files.PRIVATE_FOLDER, exist_ok=True)
            launch.record()
            launch.launcher = self._executors[executor].start(
                Order(
                    launch=mark,
                    folders=tuple(run.paths.root for run in carried),
                    log=launch.log,
                    gpus=start.gpus,
                    processes=launch.processes,
                    threads=start.threads,
                    data=start.runs[0].data,
                    module=self._options.module,
                    attempts=tuple(run.attempt for run in carried),
                    grace=max(run.wish.grace for run in carried),
                    request=start.runs[0].request,
                )
            )
        except Refused as refusal:
            self._reaper.refuse(launch, str(refusal))
            return
        except OSError as error:
            for run in carried:
                self._why[run.id] = f"could not be started: {error.strerror or error}"
                with contextlib.suppress(OSError):
                    states.clear(run.paths)
            raise
        self.launches.append(launch)
        for run in carried:
            self._changed(run.id)
        launch.record()

    def _carry(self, run: Queued) -> Carried:
        paths = self.runs.run(run.id)
        try:
            log_offset = paths.log.stat().st_size
        except OSError:
            log_offset = 0
        return Carried(paths, run, log_offset)

    def _sync(self) -> None:
        if self._unsynced:
            index.sync(self.runs, self._unsynced)
            self._unsynced = set()

    def _report(self, *, idle: bool) -> None:
        """Say who works here, what runs, and why the rest waits; written only when it changed."""
        waiting = dict(self._why)
        for launch in self.launches:
            open_runs = list(launch.open())
            for before, run in zip([None, *open_runs], open_runs, strict=False):
                if not run.begun:
                    stands = self._executors[launch.executor].says(launch.launcher)
                    waiting[run.id] = f"in one launch after {before.id}" if before else stands
        under_way = [run.id for launch in self.launches for run in launch.open() if run.begun]
        said = {"format": folders.FORMAT, **self._me, "idle": idle, "runs": under_way, "waiting": waiting}
        if said != self._said:
            files.write_json(self.runs.worker, said, durable=False)
            self._said = said

    def _pause_after_reboot(self) -> None:
        """Start nothing by surprise when the worker before this one was ended by the machine's restart."""
        before = lock.report(self.runs)
        if before.get("boot_id", processes.boot_id()) == processes.boot_id() or before.get("idle"):
            return
        left = [*before.get("runs", []), *before.get("waiting", {})]
        views = [store.read(self.runs.run(run_id)) for run_id in left]
        if any(view.state == "queued" and view.job is None for view in views):
            queue.pause(self.runs, AFTER_REBOOT)
