"""What the worker writes into `state.json`. A run without that file, for its current attempt, is queued.

`run --here` uses the same functions for its own run.
"""

from __future__ import annotations

import contextlib
from typing import Any

from imbtui import files, folders, shapes
from imbtui.launch import Launcher
from imbtui.paths import RunPaths


def read(run: RunPaths, attempt: int) -> dict[str, Any] | None:
    """Return what state.json says of this attempt, or None when it says nothing of it."""
    document = shapes.cleaned(files.read_json(run.state), shapes.STATE)
    return document if document.get("attempt") == attempt else None


def write_running(
    run: RunPaths,
    *,
    attempt: int,
    launch: str,
    launcher: Launcher | None,
    gpus: tuple[int, ...] = (),
    slots: int = 0,
    processes: int = 1,
    memory: int | None = None,
    log: str = "log.txt",
    log_offset: int = 0,
    executor: str = "local",
    since: str = "",
) -> None:
    """Say that a launch carries this run.

    Args:
        attempt: the attempt that is launched.
        launch: the launch's id.
        launcher: its process or job; None while it is not started yet.
        gpus: GPUs that the launch uses.
        slots: CPU slots that the launch takes.
        processes: ranks that train the run together.
        memory: bytes that the launch may need of each of its GPUs; None: unknown.
        log: name of the file that the launcher prints to.
        log_offset: bytes of log.txt that were there before.
        executor: where it runs: `local` or `slurm`.
        since: when it was launched; empty: now.
    """
    document = {
        "format": folders.FORMAT,
        "state": "running",
        "attempt": attempt,
        "launch": launch,
        **(launcher.to_json() if launcher else {}),
        "gpus": list(gpus),
        "slots": slots,
        "processes": processes,
        "memory": memory,
        "log": log,
        "log_offset": log_offset,
        "executor": executor,
        "at": since or folders.now(),
    }
    # Not worth an fsync: what it says ends with the boot.
    files.write_json(run.state, document, durable=False)


def write_ended(
    run: RunPaths, *, attempt: int, how: str, reason: str = "", gpu_memory: int | None = None
) -> None:
    """Say how the attempt ended; GPUs and the time of its start stay on record.

    Args:
        attempt: the attempt that ended.
        how: `finished`, `stopped`, `failed` or `crashed`.
        reason: one phrase; empty when there is nothing to say.
        gpu_memory: bytes that it took of its GPU, from which later runs learn; None: unknown.
    """
    now = folders.now()
    document = {"format": folders.FORMAT, "at": now, **(read(run, attempt) or {})}
    document |= {"state": "ended", "attempt": attempt, "how": how, "reason": reason, "ended": now}
    if gpu_memory is not None:
        document["gpu_memory"] = gpu_memory
    files.write_json(run.state, document)


def clear(run: RunPaths) -> None:
    """Put the run back into the queue."""
    with contextlib.suppress(FileNotFoundError):
        run.state.unlink()
