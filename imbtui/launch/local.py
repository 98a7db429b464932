"""Launches on this machine, each in a session of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable

from imbtui import files, processes
from imbtui.launch import LAUNCH_MARK, RUN_MARK, Order
from imbtui.launch.command import command, environment, free_port
from imbtui.processes import Identity


class Local:
    """Starts launches as detached processes of this machine.

    Args:
        line: returns the command line of an order; tests put a launcher of their own here.
    """

    def __init__(self, line: Callable[[Order], list[str]] | None = None) -> None:
        self._line = line or _with_port
        self._children: dict[Identity, subprocess.Popen[bytes]] = {}
        self._launchers: dict[str, Identity] = {}

    def start(self, order: Order) -> Identity:
        """Start a launch in its own session, with files for all three streams.

        Nothing ties it to the worker's life, to a terminal or to a pipe that somebody must read.

        Raises:
            OSError: it cannot be started.
        """
        descriptor = os.open(order.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, files.PRIVATE_FILE)
        try:
            child = subprocess.Popen(
                self._line(order),
                env=environment(order),
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                start_new_session=True,
            )
        finally:
            os.close(descriptor)
        launcher = Identity.of_child(child.pid)
        self._children[launcher] = child
        self._launchers[order.launch] = launcher
        return launcher

    def find(self, launch: str) -> Identity | None:
        """Return the oldest session leader that carries the launch's mark: ranks lead sessions too, later."""
        leaders = [
            who for who in processes.marked(LAUNCH_MARK, launch) if processes.session_of(who.pid) == who.pid
        ]
        return min(leaders, key=lambda who: who.start_ticks, default=None)

    def running(self, launcher: Identity) -> bool:
        """Whether the launcher still runs; a child of this worker that ended is waited for."""
        child = self._children.get(launcher)
        if child is None:
            return launcher.alive()
        if child.poll() is None:
            return True
        del self._children[launcher]
        return False

    def end(self, launch: str) -> list[Identity]:
        """Kill everything that carries the launch's mark; return what could not be killed."""
        launcher = self._launchers.pop(launch, None) or self.find(launch)
        return processes.kill_until_none(
            lambda: processes.marked(LAUNCH_MARK, launch), leaders=[launcher] if launcher else []
        )


def _with_port(order: Order) -> list[str]:
    return command(order, port=free_port() if order.processes > 1 else None)


def kill_ranks(launch: str, run_id: str, ranks: list[Identity]) -> list[Identity]:
    """Kill one run's processes and leave the rest of its launch alone; return what could not be killed.

    These are its ranks, what descends from them, the sessions that they lead, and whatever carries the
    run's own mark.

    Args:
        launch: the launch that carries the run.
        run_id: the run.
        ranks: the processes that registered themselves for it.
    """

    def remaining() -> set[Identity]:
        found = {rank for rank in ranks if rank.alive()}
        for rank in ranks:
            found.update(processes.descendants(rank))
            found.update(processes.session_members(rank))
        # Of this launch only: a later attempt at the run may be under way elsewhere.
        return found | {
            who
            for who in processes.marked(RUN_MARK, run_id)
            if processes.environment_value(who.pid, LAUNCH_MARK) == launch
        }

    return processes.kill_until_none(remaining, leaders=ranks)
