"""Launches on this machine, each in a session of its own."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from signal import SIGTERM
from typing import Any

from imbtui import files, processes
from imbtui.launch import LAUNCH_MARK, RUN_MARK, Order
from imbtui.launch.command import command, environment, free_port
from imbtui.processes import Identity

SPAWN_PATIENCE = 2.0  # seconds in which a launch that an earlier worker was starting must show


class Local:
    """Starts launches as detached processes of this machine.

    Args:
        line: returns the command line of an order; tests put a launcher of their own here.
    """

    def __init__(self, line: Callable[[Order], list[str]] | None = None) -> None:
        self._line = line or _with_port
        self._children: dict[Identity, subprocess.Popen[bytes]] = {}

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
        return launcher

    def find(self, launch: str) -> Identity | None:
        """Return the oldest session leader that carries the launch's mark: ranks lead sessions too, later."""
        leaders = [
            who for who in processes.marked(LAUNCH_MARK, launch) if processes.session_of(who.pid) == who.pid
        ]
        return min(leaders, key=lambda who: who.start_ticks, default=None)

    def may_show(self, since: float) -> bool:
        """Whether the time has not passed in which a process that was just started shows."""
        return time.monotonic() - since < SPAWN_PATIENCE

    def look(self, launcher: Identity) -> Identity:
        """Return the launcher: nothing about it changes."""
        return launcher

    def says(self, launcher: Identity | None) -> str:
        """Return where a launch stands that trains nothing yet."""
        return "starting"

    def known_from(self, state: Mapping[str, Any]) -> Identity | None:
        """Return the process that a state.json names."""
        return Identity.from_json(state)

    def alive(self, ranks: Sequence[Identity]) -> bool | None:
        """Whether any of a run's ranks lives."""
        return any(rank.alive() for rank in ranks)

    def ask_to_stop(self, rank: Identity) -> bool:
        """Send SIGTERM to a rank; return whether it was there."""
        return rank.signal(SIGTERM)

    @property
    def stop_delay(self) -> float:
        """Signals arrive at once."""
        return 0.0

    def kill_run(self, launch: str, run_id: str, ranks: Sequence[Identity]) -> None:
        """Kill one run's processes and leave the rest of its launch alone."""
        kill_ranks(launch, run_id, ranks)

    def running(self, launcher: Identity) -> bool:
        """Whether the launcher still runs; a child of this worker that ended is waited for."""
        child = self._children.get(launcher)
        if child is None:
            return launcher.alive()
        if child.poll() is None:
            return True
        del self._children[launcher]
        return False

    def end(self, launch: str, launcher: Identity | None = None) -> list[Identity]:
        """Kill everything that carries the launch's mark; return what could not be killed."""
        return end(launch, launcher or self.find(launch))


def end(launch: str, launcher: Identity | None = None) -> list[Identity]:
    """Kill everything on this machine that carries a launch's mark; return what could not be killed.

    Args:
        launcher: the process that was started for the launch, dead or alive: its group dies as a whole.
    """
    leaders = [] if launcher is None else [launcher]
    return processes.kill_until_none(lambda: processes.marked(LAUNCH_MARK, launch), leaders=leaders)


def _with_port(order: Order) -> list[str]:
    return command(order, port=free_port() if order.processes > 1 else None)


def kill_ranks(launch: str, run_id: str, ranks: Sequence[Identity]) -> list[Identity]:
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
