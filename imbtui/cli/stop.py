"""`imbtui stop`."""

from __future__ import annotations

from imbtui.cli import options, output

EXAMPLES = ("imbtui stop @last", "imbtui stop 1 2 3")


def command(run: options.ManyRuns, runs: options.Runs = None) -> None:
    """Stop runs; those under way write a checkpoint first."""
    from imbtui import store, worker

    paths = options.runs_paths(runs)
    views = [store.resolve(paths, reference) for reference in run]
    for view in views:
        worker.request_stop(paths, view.id)
        output.line(f"{view.id}: asked to stop")
