"""`imbtui resume`."""

from __future__ import annotations

from imbtui.cli import options, output

EXAMPLES = ("imbtui resume @last", "imbtui resume 2 5")


def command(run: options.ManyRuns, runs: options.Runs = None) -> None:
    """Queue runs again that did not finish.

    They go on from their newest checkpoint.
    """
    from imbtui import index, store, worker

    paths = options.runs_paths(runs)
    views = [store.resolve(paths, reference) for reference in run]
    for view in views:
        worker.resume(paths, view.id)
        index.sync(paths, [view.id])
        output.line(f"{view.id}: queued")
