"""A launch under way as the worker follows it: which runs it carries, and what is known of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imbtui import files, shapes, store
from imbtui.jobs import Job
from imbtui.launch import Executor, Launcher
from imbtui.paths import RunPaths, RunsPaths
from imbtui.processes import Identity
from imbtui.worker import states
from imbtui.worker.listing import Queued, queued


@dataclass
class Carried:
    """One run in a launch.

    Attributes:
        paths: its folder.
        wish: what its submit.json asks for.
        log_offset: bytes of its log that are older than the launch.
        begun: whether a rank was seen.
        over: whether its end is on record.
        fallen: whether its ranks were found dead without a result, once.
        orphan: whether its ranks lived when its launcher was found gone.
        told: ranks that were asked to stop.
        deadline: when what is left of its processes is killed; None: not yet decided.
        taken_along: whether its process was killed for the sake of a run that trained in it too.
        reason: why it crashed, as found at once: the traces may be gone when it can be written down.
        restarts: how often a scheduler has put the launch back into its queue.
    """

    paths: RunPaths
    wish: Queued
    log_offset: int = 0
    begun: bool = False
    over: bool = False
    fallen: bool = False
    orphan: bool = False
    told: set[Identity] = field(default_factory=set)
    deadline: float | None = None
    taken_along: bool = False
    reason: str = ""
    restarts: int = 0
    _stamp: int = -1

    @property
    def id(self) -> str:
        return self.paths.id

    @property
    def attempt(self) -> int:
        """The attempt that the launch makes."""
        return self.wish.attempt

    def ranks(self) -> list[Identity]:
        """Return the processes that registered themselves for this attempt, dead or alive.

        Those from before a scheduler's last restart of the launch do not count.
        """
        return store.registered(self.paths, self.attempt, restart=self.restarts)

    def ever_begun(self) -> bool:
        """Whether a rank has registered itself for this attempt before or after any restart."""
        return bool(store.registered(self.paths, self.attempt))

    def begin_again(self, restarts: int) -> None:
        """Take note that a scheduler has ended all processes of the launch and will start it anew."""
        self.restarts = restarts
        self.begun = self.fallen = False
        self.told = set()
        self.deadline = None
        self._stamp = -1

    def has_begun(self) -> bool:
        """Whether a rank has registered itself; cheap to ask of the hundreds that wait in a pack."""
        if not self.begun:
            try:
                stamp = self.paths.ranks.stat().st_mtime_ns
            except OSError:
                return False
            if stamp != self._stamp:
                self._stamp = stamp
                self.begun = bool(self.ranks())
        return self.begun

    def result(self) -> Mapping[str, Any] | None:
        """Return the attempt's result, or None while it has none."""
        document = shapes.cleaned(files.read_json(self.paths.result), shapes.RESULT)
        ended = document.get("attempt") == self.attempt and document.get("state") in store.ENDS
        return document if ended else None

    def superseded(self) -> bool:
        """Whether the run is gone or a later attempt was asked for: its state is then not ours to write."""
        submit = store.read_submit(self.paths)
        return submit is None or submit.get("attempt", 1) != self.attempt

    def is_there(self) -> bool:
        """Whether the attempt may still hold the folder: it is not over, or its ranks have not left yet."""
        return not self.over or (self.deadline is not None and any(rank.alive() for rank in self.ranks()))

    def stop_asked(self) -> bool:
        """Whether the user asked this attempt to stop."""
        return store.stop_asked(self.paths, self.attempt)


@dataclass
class Launch:
    """One launch under way.

    Attributes:
        id: its mark in the environment of all its processes.
        runs: what it carries, in order.
        log: what it printed outside its runs.
        launcher: its process or job; None: it is not known yet whether it was started.
        executor: where it runs: `local` or `slurm`.
        gpus, slots, processes: what it uses.
        memory: bytes that it may need of each of its GPUs; None: unknown.
        since: when this worker first knew of it, by the monotonic clock.
        at: when it was launched.
        memory_kills: what the kernel's count of processes ended for lack of memory was then.
        over_since: when the last of its runs was over; None: one is not.
        shortened: whether runs were taken back from it, so that it ends sooner.
    """

    id: str
    runs: list[Carried]
    log: Path
    launcher: Launcher | None = None
    executor: str = "local"
    gpus: tuple[int, ...] = ()
    slots: int = 0
    processes: int = 1
    memory: int | None = None
    since: float = 0.0
    at: str = ""
    memory_kills: int = 0
    over_since: float | None = None
    shortened: bool = False

    @property
    def job(self) -> Job | None:
        """The scheduler's job that carries it; None: none does, or none is known yet."""
        return self.launcher if isinstance(self.launcher, Job) else None

    @property
    def restarts(self) -> int:
        """How often a scheduler has put it back into its queue."""
        return self.job.restarts if self.job is not None else 0

    @property
    def owns_log(self) -> bool:
        """Whether its log is that of the one run that it carries."""
        return any(self.log == run.paths.log for run in self.runs)

    def open(self) -> Iterator[Carried]:
        """Yield the runs that are not over, in order."""
        return (run for run in self.runs if not run.over)

    def behind(self) -> list[Carried]:
        """Return the runs that wait in this launch, but for the one that is about to begin."""
        ahead = [run for run in self.open() if not run.has_begun()]
        under_way = any(run.begun for run in self.open())
        return ahead if under_way else ahead[1:]

    def beside(self, run: Carried) -> list[Carried]:
        """Return the open runs that train in one process with `run` (`train.fuse`)."""
        ranks = set(run.ranks())
        begun = (other for other in self.open() if other is not run and other.has_begun())
        return [other for other in begun if not ranks.isdisjoint(other.ranks())]

    def record(self) -> None:
        """Write into the runs' state.json that this launch carries them.

        It is done once before the launcher is started and again when it is known: a worker that dies in
        between leaves the launch's id, by which the next one finds what was started.

        Raises:
            OSError: the disk is full.
        """
        for run in self.open():
            states.write_running(
                run.paths,
                attempt=run.attempt,
                launch=self.id,
                launcher=self.launcher,
                gpus=self.gpus,
                slots=self.slots,
                processes=self.processes,
                memory=self.memory,
                log=self.log.name,
                log_offset=run.log_offset,
                executor=self.executor,
                since=self.at,
            )


def wish_of(runs: RunsPaths, run_id: str) -> Queued:
    """Return what a launched run's submit.json asks for; where it was damaged since, what is most usual."""
    run = runs.run(run_id)
    submit = store.read_submit(run)
    if submit is not None:
        return queued(run_id, submit)
    return Queued(run_id, shapes.cleaned(files.read_json(run.state), shapes.STATE).get("attempt", 1))


def log_of(runs: RunsPaths, launch: str, carried: list[Carried]) -> Path:
    """Return where a launch prints: into the log of its one run, or, of several, into a file of its own."""
    return carried[0].paths.log if len(carried) == 1 else runs.launches / f"{launch}.log"


def adopted(
    runs: RunsPaths,
    found: list[tuple[str, dict[str, Any]]],
    executors: Mapping[str, Executor[Any]],
    *,
    now: float,
    memory_kills: int,
) -> list[Launch]:
    """Return the launches of an earlier worker, from the state.json of the runs that they carry.

    Args:
        found: ids and state.json of runs that say they are in a launch.
        executors: by name.
        now: the monotonic clock.
        memory_kills: the kernel's present count.
    """
    launches: dict[str, Launch] = {}
    for run_id, state in found:
        run = Carried(runs.run(run_id), wish_of(runs, run_id), state.get("log_offset", 0))
        mark = str(state.get("launch"))
        own_log = state.get("log") == run.paths.log.name
        launch = launches.setdefault(
            mark,
            Launch(
                id=mark,
                runs=[],
                log=run.paths.log if own_log else runs.launches / f"{mark}.log",
                gpus=tuple(state.get("gpus", ())),
                slots=state.get("slots", 0),
                processes=state.get("processes", 1),
                memory=state.get("memory") or None,
                since=now,
                at=state.get("at", ""),
                memory_kills=memory_kills,
                executor=state.get("executor", "local"),
            ),
        )
        launch.launcher = launch.launcher or executors[launch.executor].known_from(state)
        run.restarts = launch.restarts
        launch.runs.append(run)
    return list(launches.values())
