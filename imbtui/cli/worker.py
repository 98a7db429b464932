"""`imbtui worker`: the process that starts queued runs."""

from __future__ import annotations

from pathlib import Path

import typer

from imbtui.cli import options, output

group = typer.Typer(
    invoke_without_command=True,
    help="Show, start or stop the worker of this machine.",
    epilog=options.examples("imbtui worker status", "imbtui worker stop"),
)


@group.callback()
def _default(ctx: typer.Context, runs: options.Runs = None, json: options.Json = False) -> None:
    if ctx.invoked_subcommand is None:
        _print_status(runs, json)


@group.command("start", epilog=options.examples("imbtui worker start"))
def _start(runs: options.Runs = None) -> None:
    """Start the worker if none is there; it leaves by itself when nothing is queued."""
    from imbtui import folders, worker

    paths = options.runs_paths(runs)
    folders.ensure_folder(paths)
    worker.ensure(paths)
    output.line(_sentence(worker.status(paths)))


@group.command("stop", epilog=options.examples("imbtui worker stop"))
def _stop(runs: options.Runs = None) -> None:
    """End the worker; runs under way go on, queued ones wait.

    An `imbtui run` that still follows its runs starts it again; `imbtui queue pause` keeps them waiting.
    """
    from imbtui import worker

    ended = worker.stop_worker(options.runs_paths(runs))
    output.line("the worker was ended; runs under way go on" if ended else "no worker was running")


@group.command("status", epilog=options.examples("imbtui worker status --json"))
def _status(runs: options.Runs = None, json: options.Json = False) -> None:
    """Say whether a worker lives and what it runs."""
    _print_status(runs, json)


def _print_status(runs: Path | None, json: bool) -> None:
    from imbtui import worker

    said = worker.status(options.runs_paths(runs))
    if json:
        output.document(said)
        return
    output.line(_sentence(said))
    for run_id in said["runs"]:
        output.line(f"  {run_id}")


def _sentence(said: dict[str, object]) -> str:
    if not said["running"]:
        return "no worker runs: there is nothing to do, or `imbtui worker start` starts one"
    return f"a worker runs: process {said['pid']}, since {said['since']}"
