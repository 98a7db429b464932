"""Starting trainers and ending them: what a launch is, and what any place that runs one can do.

A launch is one `accelerate launch` command that carries one run or several. The worker knows it only
through `Executor`: `local.py` is this machine, `slurm.py` a cluster's scheduler.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from imbtui.processes import Identity

ENGINE = "imbtui.engine"
LAUNCH_MARK = "IMBTUI_LAUNCH_ID"
RUN_MARK = "IMBTUI_RUN_ID"
RESTART_MARK = "IMBTUI_RESTART"  # set where a scheduler runs the launch: how often it has begun it anew


class Refused(Exception):
    """A launch will never be taken as it is; the text says why."""


@dataclass(frozen=True)
class Request:
    """What a launch asks a scheduler for; None and empty: what it gives by itself.

    Attributes:
        gpus: whether it needs GPUs; None: it takes them if there are any.
        partition, account, time: names and a time limit as the scheduler spells them.
        cpus: CPU cores.
        memory: GiB of main memory.
        options: more of the scheduler's options, as they are given to it.
    """

    gpus: bool | None = None
    partition: str | None = None
    account: str | None = None
    time: str | None = None
    cpus: int | None = None
    memory: float | None = None
    options: tuple[str, ...] = ()

    @classmethod
    def of(cls, table: Mapping[str, Any] | None, gpus: Sequence[int] | str | None) -> Request:
        """Return what a recipe's `launch.slurm` and devices (indices, `"cpu"` or None) ask for."""
        wish = {key: value for key, value in (table or {}).items() if key in cls.__dataclass_fields__}
        wish["options"] = tuple(wish.get("options") or ())
        return cls(**wish | {"gpus": None if gpus is None else gpus != "cpu"})


NOTHING = Request()


@dataclass(frozen=True)
class Order:
    """What to launch.

    Attributes:
        launch: the launch's id; every process of it carries the id in its environment.
        folders: the run folders, in the order in which they are trained.
        log: the file that takes what the launcher and its processes print before they train a run.
        gpus: GPUs to use; empty: the CPU.
        processes: ranks that train each run together.
        threads: CPU threads of each process.
        data: data root that the submitter used; None: the default one.
        module: the module that trains.
        attempts: the attempt at each run.
        grace: seconds between asking a run to stop and killing it.
        request: what is asked of a scheduler.
    """

    launch: str
    folders: tuple[Path, ...]
    log: Path
    gpus: tuple[int, ...] = ()
    processes: int = 1
    threads: int = 1
    data: str | None = None
    module: str = ENGINE
    attempts: tuple[int, ...] = ()
    grace: float = 30.0
    request: Request = NOTHING


class Launcher(Protocol):
    """What carries a launch, told apart from everything else that ever carried one."""

    def to_json(self) -> dict[str, Any]:
        """Return the keys that state.json keeps of it."""


L = TypeVar("L", bound=Launcher)


class Executor(Protocol[L]):
    """A place that runs launches."""

    def start(self, order: Order) -> L | None:
        """Start a launch and return its launcher; None: `find` will tell whether it was started.

        Raises:
            OSError: it cannot be started (no memory, no process left, log not writable).
            Refused: it never can.
        """

    def find(self, launch: str) -> L | None:
        """Return the launcher of a launch that was or may have been started, or None."""

    def may_show(self, since: float) -> bool:
        """Whether a launch that `find` does not see may still appear.

        Args:
            since: when it was ordered or adopted, by the monotonic clock.
        """

    def look(self, launcher: L) -> L:
        """Return the launcher as it is now known."""

    def running(self, launcher: L) -> bool:
        """Whether the launcher still runs, or waits to run."""

    def says(self, launcher: L | None) -> str:
        """Return where a launch stands that trains nothing yet, in a phrase."""

    def known_from(self, state: Mapping[str, Any]) -> L | None:
        """Return the launcher that a state.json names, or None when it names none."""

    def alive(self, ranks: Sequence[Identity]) -> bool | None:
        """Whether any of a run's ranks lives; None: that cannot be seen from here."""

    def ask_to_stop(self, rank: Identity) -> bool:
        """Ask a rank to write a checkpoint and leave; return whether it will hear of it."""

    @property
    def stop_delay(self) -> float:
        """Seconds that may pass until a rank that was asked to stop hears of it."""

    def kill_run(self, launch: str, run_id: str, ranks: Sequence[Identity]) -> None:
        """Kill one run's processes and leave the rest of its launch alone."""

    def end(self, launch: str, launcher: L | None) -> list[Identity]:
        """End everything that belongs to the launch; return what could not be killed."""
