"""The trainer: `python -m imbtui.engine RUN_FOLDER...`, usually under `accelerate launch`.

One process that has imported torch forks a child a run, so that only the first run of a pack pays for
imports and a crash costs only the run under way. Each child leads its own session, registers itself in
its run's folder and writes to its run's log. Under several processes (one a GPU) nothing is forked: each
rank does the runs in turn.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import signal
import sys
from pathlib import Path
from typing import Any

from imbtui import files
from imbtui.engine import session
from imbtui.errors import UserError
from imbtui.paths import RunPaths


def main(arguments: list[str]) -> int:
    """Train the given run folders one after another; return 0 when none of them failed."""
    runs = [RunPaths(Path(argument).absolute()) for argument in arguments]
    launcher = os.getppid()
    _warm_up(runs)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        return _train_together(runs)
    failed = 0
    for run in runs:
        if os.getppid() != launcher:
            return 1  # the worker ends a launch without its launcher: a run begun now would be lost
        if not session.is_done(run):
            failed += _train_in_child(run, _provenance(_source_folder(run)))
    return 1 if failed else 0


def _train_together(runs: list[RunPaths]) -> int:
    """Train runs on all processes of this launch; rank 0 decides which of them are begun."""
    import torch.distributed
    from accelerate import PartialState
    from accelerate.utils import broadcast_object_list, parse_flag_from_env

    rank = PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU")).process_index
    failed = 0
    for run in runs:
        attempt = session.attempt_of(run)
        stop_flag = session.catch_stop()
        begun = [rank == 0 and not session.is_done(run) and session.claim(run, rank, attempt)]
        broadcast_object_list(begun)
        if not begun[0]:
            continue
        if rank:
            session.register(run, rank, attempt)
        _redirect(run.log)
        failed += _train(run, attempt, stop_flag, _provenance(_source_folder(run)))
    # Left to the interpreter's exit, the group's threads abort the process.
    torch.distributed.destroy_process_group()
    return 1 if failed else 0


def _warm_up(runs: list[RunPaths]) -> None:
    """Import what every run needs before the first fork; neither CUDA nor autograd is touched."""
    import accelerate  # noqa: F401
    import torch._dynamo  # noqa: F401  (the first optimizer would import it)

    import imbtui.engine.build  # noqa: F401

    # Runs of one launch are of one kind.
    for module in _announced(runs[0]):
        importlib.import_module(module)


def _announced(run: RunPaths) -> list[str]:
    """Return the modules that a run's probes and methods say, in `IMPORTS`, they will import when used."""
    from imbtui import plugins
    from imbtui.recipe.read import read_resolved

    try:
        recipe = read_resolved(run.recipe)
    except UserError:
        return []  # told where the run is trained
    members = [("probe", p.name) for p in recipe.probes] + [("method", m.name) for m in recipe.methods]
    return [module for kind, name in members for module in plugins.literal(kind, name, "IMPORTS", ())]


def _train_in_child(run: RunPaths, provenance: dict[str, Any]) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        status = 70
        try:
            os.setsid()
            _redirect(run.log)
            attempt = session.attempt_of(run)
            stop_flag = session.catch_stop()
            status = 0
            if session.claim(run, 0, attempt):
                status = _train(run, attempt, stop_flag, provenance)
        finally:
            with contextlib.suppress(OSError):  # the disk may be full
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


def _train(run: RunPaths, attempt: int, stop_flag: list[int], provenance: dict[str, Any]) -> int:
    os.environ[session.RUN_MARK] = run.id
    state = session.train_run(run, attempt=attempt, stop_flag=stop_flag, provenance=provenance)
    return 1 if state == "failed" else 0


def _redirect(log: Path) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


@functools.cache
def _provenance(folder: Path) -> dict[str, Any]:
    """Return what the results depend on beside their recipes: once, since the code was imported once."""
    return session.provenance(folder)


def _source_folder(run: RunPaths) -> Path:
    """Return where the run's code is likely to live: beside its recipe, else here."""
    submit = files.read_json(run.submit) or {}
    folder = Path(submit.get("path", "")).parent
    return folder if folder.is_absolute() and folder.is_dir() else Path.cwd()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
