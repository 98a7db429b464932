"""The trainer: `python -m imbtui.engine RUN_FOLDER...`, usually under `accelerate launch`.

One process that has imported torch forks a child a run, so that only the first run of a pack pays for
imports and a crash costs only the run under way. Each child leads its own session, registers itself in
its run's folder and writes to its run's log. Under several processes (one a GPU) nothing is forked: each
rank does the runs in turn.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import Any

from imbtui import files
from imbtui.engine import session
from imbtui.paths import RunPaths


def main(arguments: list[str]) -> int:
    """Train the given run folders one after another; return 0 when none of them failed."""
    runs = [RunPaths(Path(argument).absolute()) for argument in arguments]
    launcher = os.getppid()
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1
    _warm_up()
    failed = 0
    for run in runs:
        if os.getppid() != launcher:
            return 1  # the worker ends a launch without its launcher: a run begun now would be lost
        if session.is_done(run):
            continue
        provenance = session.provenance(_source_folder(run))
        if several:
            _redirect(run.log)
            failed += _train(run, provenance)
        else:
            failed += _train_in_child(run, provenance)
    if several:
        import torch.distributed

        # Left to the interpreter's exit, the group's threads abort the process.
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
    return 1 if failed else 0


def _warm_up() -> None:
    """Import what every run needs before the first fork; neither CUDA nor autograd is touched."""
    import accelerate  # noqa: F401
    import torch._dynamo  # noqa: F401  (the first optimizer would import it)

    import imbtui.engine.build  # noqa: F401


def _train_in_child(run: RunPaths, provenance: dict[str, Any]) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        status = 70
        try:
            os.setsid()
            _redirect(run.log)
            status = _train(run, provenance)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            # Nothing of the parent's may be cleaned up twice.
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        _note_signal(run.log, os.WTERMSIG(status))
    return 1 if status else 0


def _note_signal(log: Path, number: int) -> None:
    """Say in the run's log what the run itself could not say any more."""
    with contextlib.suppress(OSError, ValueError):
        writer = files.LineWriter(log)
        writer.append(f"imbtui: the run was ended by {signal.Signals(number).name}".encode())
        writer.close()


def _train(run: RunPaths, provenance: dict[str, Any]) -> int:
    os.environ[session.RUN_MARK] = run.id
    attempt = session.attempt_of(run)
    stop_flag = session.catch_stop()
    if not session.claim(run, int(os.environ.get("RANK", "0")), attempt):
        return 0
    state = session.train_run(run, attempt=attempt, stop_flag=stop_flag, provenance=provenance)
    return 1 if state == "failed" else 0


def _redirect(log: Path) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def _source_folder(run: RunPaths) -> Path:
    """Return where the run's code is likely to live: beside its recipe, else here."""
    submit = files.read_json(run.submit) or {}
    folder = Path(submit.get("path", "")).parent
    return folder if folder.is_absolute() and folder.is_dir() else Path.cwd()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
