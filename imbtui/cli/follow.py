"""Following runs until they end. Ctrl-C stops them; a second one leaves them to themselves."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from imbtui import queue, worker
from imbtui.cli.live import Lines, Screen
from imbtui.cli.watch import Watched
from imbtui.errors import UserError
from imbtui.paths import RunsPaths, host

POLL = 0.25  # seconds
ASK_WHY = 2.0  # seconds between questions why runs wait
ENSURE = 5.0  # seconds between looks for a worker while runs wait


def follow(
    runs: RunsPaths,
    ids: Sequence[str],
    *,
    own: set[str],
    interrupts: list[int],
    results_on_stdout: bool = False,
) -> list[Watched]:
    """Watch runs until all have ended or the user leaves; return them.

    Args:
        ids: the runs.
        own: those that Ctrl-C stops; the rest was submitted by others and is left alone.
        interrupts: grows by one with each Ctrl-C, see `catch_interrupts`.
        results_on_stdout: keep stdout free.
    """
    watched = [Watched(runs.run(run_id)) for run_id in ids]
    view: Screen | Lines
    on_screen = sys.stderr.isatty() if results_on_stdout else sys.stdout.isatty()
    view = Screen() if on_screen else Lines(stderr=results_on_stdout)
    with view:
        asked = False
        why: dict[str, str] = {}
        asked_why = ensured = time.monotonic()
        changed = [run for run in watched if run.view.state != "queued"]
        while True:
            changed += [run for run in watched if not run.ended() and run.poll()]
            pending = [run for run in watched if not run.ended()]
            waiting = [run for run in pending if run.view.state == "queued"]
            now = time.monotonic()
            if waiting and now - asked_why > ASK_WHY:
                why = {row["id"]: row["why"] for row in queue.view(runs)}
                asked_why = now
            view.show(watched, why, changed)
            changed = []
            if not pending or len(interrupts) > 1:
                break
            if interrupts and not asked:
                asked = True
                mine = [run for run in pending if run.id in own]
                if not mine:
                    break
                _stop(runs, mine, view)
            if any(_needs_worker(run) for run in pending) and now - ensured > ENSURE:
                ensured = now
                _ensure(runs, view)
            time.sleep(POLL)
    return watched


def _needs_worker(run: Watched) -> bool:
    """Whether nothing would happen to a run without a worker: it waits, or no process of it shows here."""
    followed = run.view.state == "queued" or run.view.job is not None
    return followed and run.view.host == host() and not run.view.here


def _ensure(runs: RunsPaths, view: Screen | Lines) -> None:
    """Start the worker again if something ended it; a paused queue needs none."""
    if queue.settings(runs).paused or worker.held(runs):
        return
    try:
        worker.ensure(runs)
    except (UserError, OSError) as error:
        view.tell(f"the runs wait: {error}")


def _stop(runs: RunsPaths, mine: list[Watched], view: Screen | Lines) -> None:
    view.tell("Stopping; checkpoints are written. Ctrl-C again leaves without waiting.")
    for run in mine:
        # One that ended just now cannot be stopped.
        with contextlib.suppress(UserError):
            worker.request_stop(runs, run.id)


@contextlib.contextmanager
def catch_interrupts() -> Iterator[list[int]]:
    """Collect Ctrl-C instead of being ended by it."""
    seen: list[int] = []

    def note(number: int, frame: Any) -> None:
        seen.append(number)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield seen
    finally:
        signal.signal(signal.SIGINT, before)
