"""`imbtui stop`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from imbtui.cli import options, output

if TYPE_CHECKING:
    from imbtui.store import RunView

EXAMPLES = ("imbtui stop @last", "imbtui stop 1 2 3")


def command(
    run: options.ManyRuns,
    gone: Annotated[
        bool, typer.Option("--gone", help="Their machine is gone for good: count them as crashed now.")
    ] = False,
    runs: options.Runs = None,
) -> None:
    """Stop runs; those under way write a checkpoint first."""
    from imbtui import index, store, worker

    paths = options.runs_paths(runs)
    views = [store.resolve(paths, reference) for reference in run]
    for view in views:
        if gone:
            worker.give_up(paths, view.id)
            index.sync(paths, [view.id])
            output.line(f"{view.id}: counts as crashed; `imbtui resume` goes on with it here")
        else:
            worker.request_stop(paths, view.id)
            output.line(f"{view.id}: asked to stop" + _where(view))


def _where(view: RunView) -> str:
    """Return who obeys, where that is not this machine's worker."""
    from imbtui.paths import host

    if view.host == host() or view.state == "queued":
        return ""
    return f"; a worker on {view.host} will see to it (if that machine is gone: --gone)"
