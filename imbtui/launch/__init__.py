"""Starting trainers and ending them: what a launch is, and what any place that runs one can do.

A launch is one `accelerate launch` command that carries one run or several. The worker knows it only
through `Executor`, so that another place to run (a cluster's scheduler) is another class with these
three methods.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from imbtui.processes import Identity

ENGINE = "imbtui.engine"
LAUNCH_MARK = "IMBTUI_LAUNCH_ID"
RUN_MARK = "IMBTUI_RUN_ID"


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
    """

    launch: str
    folders: tuple[Path, ...]
    log: Path
    gpus: tuple[int, ...] = ()
    processes: int = 1
    threads: int = 1
    data: str | None = None
    module: str = ENGINE


class Executor(Protocol):
    """A place that runs launches."""

    def start(self, order: Order) -> Identity:
        """Start a launch and return who its launcher is.

        Raises:
            OSError: it cannot be started (no memory, no process left, log not writable).
        """

    def find(self, launch: str) -> Identity | None:
        """Return the launcher of a launch that was started by an earlier worker, or None."""

    def running(self, launcher: Identity) -> bool:
        """Whether the launcher still runs."""

    def end(self, launch: str) -> list[Identity]:
        """Kill everything that belongs to the launch; return what could not be killed."""
