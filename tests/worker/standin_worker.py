"""The real worker with the stand-in trainer, as a process: `python -m standin_worker RUNS_FOLDER`.

`STANDIN_ACCELERATE` in its environment makes it launch through `accelerate launch` as the real one does.
"""

from __future__ import annotations

import errno
import itertools
import os
import signal
import sys
from pathlib import Path
from typing import Any

from imbtui import files
from imbtui.gpus import Gpu
from imbtui.launch import Order, slurm, squeue
from imbtui.launch.local import Local
from imbtui.paths import RunsPaths
from imbtui.worker.__main__ import main
from imbtui.worker.tick import Options

# A launcher like accelerate's for one process: it starts the trainer, waits, and hears no signal.
LAUNCHER = "import subprocess, sys; sys.exit(1 if subprocess.call(sys.argv[1:]) else 0)"


def line(order: Order) -> list[str]:
    trainer = [sys.executable, "-m", order.module, *map(str, order.folders)]
    return [sys.executable, "-S", "-c", LAUNCHER, *trainer]


def gpus() -> list[Gpu]:
    """The GPUs that `STANDIN_GPUS` describes: the GiB that a stranger holds on each, as `0,0,20,0`."""
    held = [int(size) for size in os.environ.get("STANDIN_GPUS", "").split(",") if size]
    return [Gpu(n, "H200", f"GPU-{n}", 141 << 30, size << 30) for n, size in enumerate(held)]


def options() -> Options:
    return Options(
        module="standin_trainer",
        cores=2,
        gpus=gpus,
        leave_patience=1.0,
        worth=float(os.environ.get("STANDIN_WORTH", "30")),
        executor=Local(None if "STANDIN_ACCELERATE" in os.environ else line),
    )


def die_at(number: int) -> None:
    """SIGKILL this process just before the n-th time that it changes anything outside itself."""
    seen = itertools.count(1)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event in ("os.rename", "os.remove", "subprocess.Popen") and next(seen) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def fail_at(first: int) -> None:
    """Let three writes from the n-th on fail as on a full disk."""
    write, seen = files.write_atomic, itertools.count(1)

    def full(*arguments: Any, **options: Any) -> None:
        if first <= next(seen) < first + 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(*arguments, **options)

    files.write_atomic = full  # type: ignore[assignment]


if __name__ == "__main__":
    slurm.JOB_MODULE = "standin_job"
    slurm.SHOWS_WITHIN, slurm.WAIT_AFTER_REFUSAL, slurm.STOP_DELAY = 0.3, 0.5, 1.0
    squeue.QUICKEST, squeue.SLOWEST = 0.1, 0.3
    if "STANDIN_FAIL_AT" in os.environ:
        fail_at(int(os.environ["STANDIN_FAIL_AT"]))
    if "STANDIN_DIE_AT" in os.environ:
        die_at(int(os.environ["STANDIN_DIE_AT"]))
    sys.exit(main(RunsPaths(Path(sys.argv[1])), options(), every=0.05, linger=0.3))
