"""Whether a worker lives, starting one, stopping it. Its lock answers, never a file with a process id."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from signal import SIGTERM
from typing import Any

from imbtui import files, folders
from imbtui.errors import UserError
from imbtui.launch import LAUNCH_MARK, RUN_MARK
from imbtui.paths import RunsPaths
from imbtui.processes import Identity

MODULE = "imbtui.worker"
PATIENCE = 15.0  # seconds; a loaded machine takes some to start a Python process


def ring(runs: RunsPaths) -> None:
    """Tell every worker of this runs folder that something changed inside run folders."""
    files.write_atomic(runs.root / ".bell", secrets.token_hex(8), durable=False)


def bell(runs: RunsPaths) -> tuple[int, int]:
    """Return a value that differs after every ring."""
    try:
        status = (runs.root / ".bell").stat()
    except OSError:
        return (0, 0)
    return (status.st_ino, status.st_mtime_ns)


def held(runs: RunsPaths) -> bool:
    """Whether a worker holds the lock of this host and runs folder."""
    if not runs.worker_lock.exists():
        return False
    try:
        with files.locked(runs.worker_lock, timeout=0):
            return False
    except TimeoutError:
        return True
    except OSError:  # a read-only folder: nobody can work here
        return False


def report(runs: RunsPaths) -> dict[str, Any]:
    """Return what the worker last said of itself; empty when none ever did. See `held` first."""
    document = files.read_json(runs.worker)
    return document if isinstance(document, dict) else {}


def ensure(runs: RunsPaths) -> None:
    """Start a worker unless one lives, and see that it looks at the run folders now.

    The worker is detached: own session, files for all streams, no tie to the caller.

    Raises:
        UserError: the runs folder cannot be written to, or the worker went away at once.
    """
    folders.ensure_folder(runs)
    ring(runs)
    if held(runs):
        return
    environment = {k: v for k, v in os.environ.items() if k not in (LAUNCH_MARK, RUN_MARK)}
    descriptor = os.open(runs.worker_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, files.PRIVATE_FILE)
    try:
        child = subprocess.Popen(
            [sys.executable, "-m", MODULE, str(runs.root.absolute())],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            start_new_session=True,
        )
    finally:
        os.close(descriptor)
    # It is there once somebody holds the lock; it has come and gone when there was nothing to do.
    if not wait_until(lambda: child.poll() is not None or held(runs)) or child.returncode:
        last = files.last_lines(runs.worker_log, 1)
        raise UserError(
            "the worker could not be started" + (f": {files.printable(last[0])}" if last else ""),
            where=str(runs.worker_log),
        )


def status(runs: RunsPaths) -> dict[str, Any]:
    """Return `running`, `pid`, `since` (ISO 8601) and `runs` (ids under way) of this host's worker."""
    if not held(runs):
        return {"running": False, "pid": None, "since": None, "runs": []}
    said = report(runs)
    who = Identity.from_json(said)
    if who is None or not who.alive():
        said = {}  # the worker before this one wrote it, and this one is just starting
    return {
        "running": True,
        "pid": said.get("pid"),
        "since": said.get("since"),
        "runs": list(said.get("runs", [])),
    }


def stop_worker(runs: RunsPaths) -> bool:
    """End this host's worker and leave its trainers alone; return whether there was one.

    Raises:
        UserError: it did not end in time.
    """
    if not held(runs):
        return False

    def gone() -> bool:
        # The report may be of the worker before, for the moment in which a new one starts.
        who = Identity.from_json(report(runs))
        if who is not None:
            who.signal(SIGTERM)
        return not held(runs)

    if not wait_until(gone):
        raise UserError("the worker did not end in time", where=str(runs.worker_log))
    return True


def wait_until(condition: Callable[[], bool], patience: float = PATIENCE) -> bool:
    """Ask until the answer is yes or `patience` seconds are over; return the last answer."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
