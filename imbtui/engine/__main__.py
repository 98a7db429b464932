"""The trainer: `python -m imbtui.engine RUN_FOLDER...`, usually under `accelerate launch`.

One process that has imported torch forks a child a run, so that only the first run of a pack pays for
imports and a crash costs only the run under way; runs that train together (`engine.fuse`) share a child.
Each child leads its own session, registers itself in its run's folder and writes to its run's log. Under
several processes (one a GPU) nothing is forked: each rank does the runs in turn.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from imbtui import files
from imbtui.engine import fuse, session
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
    fellows = fuse.Fellows(runs)
    while runs:
        run = runs.pop(0)
        if os.getppid() != launcher:
            return 1  # the worker ends a launch without its launcher: a run begun now would be lost
        if session.is_done(run):
            continue
        provenance = _provenance(_source_folder(run))
        if group := fellows.of(run, runs):
            status = _in_child(group, functools.partial(fuse.train, group, provenance))
            if status == session.ENDED_FROM_OUTSIDE:
                return 1
            if status != fuse.NOT_FUSED:
                failed += status
                runs = [other for other in runs if other not in group]
                continue
            fellows.refuse(run)
        status = _in_child([run], functools.partial(_train_one, run, provenance))
        if status == session.ENDED_FROM_OUTSIDE:
            return 1
        failed += status
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
        session.redirect(run.log)
        status = _train(run, attempt, stop_flag, _provenance(_source_folder(run)))
        failed += status
        if status == session.ENDED_FROM_OUTSIDE:
            break
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


def _in_child(runs: list[RunPaths], work: Callable[[], int]) -> int:
    """Do work that trains runs in a forked child that leads its own session; return its exit status."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        status = 70
        try:
            os.setsid()
            status = work()
        finally:
            with contextlib.suppress(OSError):  # the disk may be full
                sys.stdout.flush()
                sys.stderr.flush()
            # Nothing of the parent's may be cleaned up twice.
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        return os.waitstatus_to_exitcode(status)
    for run in runs:
        if not session.has_result(run, session.attempt_of(run)):
            name = signal.Signals(os.WTERMSIG(status)).name
            session.note(run.log, f"imbtui: the run was ended by {name}")
    return 1


def _train_one(run: RunPaths, provenance: dict[str, Any]) -> int:
    session.redirect(run.log)
    attempt = session.attempt_of(run)
    stop_flag = session.catch_stop()
    return _train(run, attempt, stop_flag, provenance) if session.claim(run, 0, attempt) else 0


def _train(run: RunPaths, attempt: int, stop_flag: list[int], provenance: dict[str, Any]) -> int:
    os.environ[session.RUN_MARK] = run.id
    state = session.train_run(run, attempt=attempt, stop_flag=stop_flag, provenance=provenance)
    return session.exit_status([state])


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
