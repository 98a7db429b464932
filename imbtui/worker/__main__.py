"""`python -m imbtui.worker RUNS_FOLDER`: work until nothing is left to do."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
import traceback
from pathlib import Path

from imbtui import files, folders
from imbtui.paths import RunsPaths
from imbtui.worker import lock
from imbtui.worker.tick import Options, Worker

EVERY = 0.5  # seconds between ticks
LINGER = 5.0  # seconds without work after which the worker goes


def main(
    runs: RunsPaths, options: Options | None = None, *, every: float = EVERY, linger: float = LINGER
) -> int:
    """Take the lock, work until idle or until SIGTERM, and return 0.

    When another worker holds the lock there is nothing to do here.

    Args:
        runs: the runs folder.
        options: see `Options`.
        every: seconds between ticks.
        linger: seconds without work after which the worker goes.
    """
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: ended.set())
    while runs.root.is_dir():
        try:
            # Those who only ask whether a worker lives hold the lock for an instant: wait that long.
            with files.locked(runs.worker_lock, timeout=2.0):
                heard = _work(Worker(runs, options), ended, every, linger)
        except TimeoutError:
            return 0
        # Who submitted in the last moment rang, saw the lock held, and counts on this worker.
        if ended.is_set() or lock.bell(runs) == heard:
            return 0
    return 0


def _work(worker: Worker, ended: threading.Event, every: float, linger: float) -> tuple[int, int] | None:
    """Tick until there is nothing to do; return the last ring heard, or None when told to end."""
    trouble, busy = "", time.monotonic()
    while not ended.is_set() and worker.runs.root.is_dir():
        try:
            worker.tick()
            trouble = ""
            if not worker.idle():
                busy = time.monotonic()
            elif time.monotonic() - busy >= linger:
                return worker.leave()
        except Exception:
            # A full disk, or a fault of ours: either way the runs are better off with a worker.
            now = traceback.format_exc()
            if now != trouble:
                with contextlib.suppress(OSError):  # the log is on the same disk
                    print(f"{folders.now()} {now}", file=sys.stderr, flush=True)
            trouble = now
        ended.wait(every)
    return None


if __name__ == "__main__":
    sys.exit(main(RunsPaths(Path(sys.argv[1]))))
