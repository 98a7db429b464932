"""What users ask of runs: stop, resume. Written into run folders; the worker sees it there."""

from __future__ import annotations

import contextlib
from signal import SIGTERM

from imbtui import files, folders, store
from imbtui.errors import UserError
from imbtui.launch import slurm
from imbtui.paths import RunsPaths, host
from imbtui.worker import lock, states


def request_stop(runs: RunsPaths, run_id: str) -> None:
    """Ask a queued or running run to stop; a running one writes a checkpoint first.

    Returns at once; the worker, started if there is none, sees to it.

    Raises:
        UserError: the run is neither queued nor running.
    """
    run = runs.run(run_id)
    view = store.read(run)
    if view.state not in store.ACTIVE:
        raise UserError(f"it cannot be stopped: it is {view.state}", where=run_id)
    files.write_atomic(run.stop, str(view.attempt))
    if view.here:
        # No worker looks after it: its own process is told directly.
        for rank in store.registered(run, view.attempt):
            rank.signal(SIGTERM)
    elif view.host == host():
        lock.ensure(runs)
    else:
        lock.ring(runs)


def give_up(runs: RunsPaths, run_id: str) -> None:
    """Record that a run of another machine crashed, on its user's word that this machine is gone.

    Nobody is asked to stop: a machine that is back all the same would go on with the run. A job of SLURM does
    not run on the machine that is gone, and is cancelled.

    Raises:
        UserError: the run is neither queued nor running, belongs to this machine, or its job cannot be
            cancelled.
    """
    run = runs.run(run_id)
    view = store.read(run)
    if view.state not in store.ACTIVE:
        raise UserError(f"it is {view.state}", where=run_id)
    if view.host == host():
        raise UserError("it belongs to this machine", where=run_id, hint="Stop it without --gone.")
    if view.job is not None and (why := slurm.cancel(view.job)):
        raise UserError(f"its SLURM job {view.job.id} cannot be cancelled: {why}", where=run_id)
    reason = f"its machine {files.printable(view.host)} is gone"
    states.write_ended(run, attempt=view.attempt, how="crashed", reason=reason)


def resume(runs: RunsPaths, run_id: str) -> None:
    """Queue a stopped, failed or crashed run again; it goes on from its newest checkpoint.

    Raises:
        UserError: the run is queued, running or finished, or may still be running on another machine; or
            it is one for SLURM, and there is none here.
    """
    run = runs.run(run_id)
    view = store.read(run)
    if view.state in store.ACTIVE:
        raise UserError(f"it is {view.state} already", where=run_id)
    if view.state == "finished":
        raise UserError("it has finished", where=run_id, hint="`imbtui run RECIPE --rerun` trains it anew.")
    if view.executor == "slurm":
        slurm.require()
    state = files.read_json(run.state)
    if view.host != host() and isinstance(state, dict) and state.get("state") == "running":
        raise UserError(
            f"it was started on {files.printable(view.host)} and may still run there",
            where=run_id,
            hint="Resume it on that machine; if the machine is gone, `imbtui stop --gone` it first.",
        )
    folders.update_submit(run, attempt=view.attempt + 1, host=host(), here=False, retried=0)
    with contextlib.suppress(FileNotFoundError):
        run.stop.unlink()
    lock.ensure(runs)
