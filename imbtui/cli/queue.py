"""`imbtui queue`: what runs and what waits on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imbtui.cli import options, output
from imbtui.errors import UserError

group = typer.Typer(
    invoke_without_command=True,
    help="Show and change this machine's queue.",
    epilog=options.examples("imbtui queue", "imbtui queue move 3 1", "imbtui queue slots 4"),
)


@group.callback()
def _default(ctx: typer.Context, runs: options.Runs = None, json: options.Json = False) -> None:
    if ctx.invoked_subcommand is None:
        _view(runs, json)


@group.command("ls", epilog=options.examples("imbtui queue ls --json"))
def _ls(runs: options.Runs = None, json: options.Json = False) -> None:
    """List what runs and what waits, with the reason why."""
    _view(runs, json)


def _view(runs: Path | None, json: bool) -> None:
    from imbtui import folders, queue

    paths = options.runs_paths(runs)
    rows = queue.view(paths)
    if json:
        output.document(rows)
        return
    chosen = queue.settings(paths)
    if chosen.paused:
        output.say(queue.paused_phrase(chosen) + "; `imbtui queue resume` goes on")
    if not rows:
        output.say("nothing runs and nothing waits")
        return
    folders.remember_listing(paths, [row["id"] for row in rows])
    output.table(
        [
            output.Column("#", [str(place) for place in range(1, len(rows) + 1)], right=True),
            output.Column("turn", [str(row["position"] or "-") for row in rows], right=True),
            output.Column("id", [row["id"] for row in rows]),
            output.Column("state", [output.state(row["state"]) for row in rows]),
            output.Column("gpus", [",".join(map(str, row["gpus"])) or "-" for row in rows], 2),
            output.Column("why", [row["why"] for row in rows], 1, shrink=True),
        ]
    )


@group.command("pause", epilog=options.examples("imbtui queue pause"))
def _pause(runs: options.Runs = None) -> None:
    """Start nothing new; what runs goes on."""
    from imbtui import folders, queue

    paths = options.runs_paths(runs)
    folders.ensure_folder(paths)
    queue.pause(paths)
    output.line("the queue is paused")


@group.command("resume", epilog=options.examples("imbtui queue resume"))
def _resume(runs: options.Runs = None) -> None:
    """Start queued runs again."""
    from imbtui import folders, queue

    paths = options.runs_paths(runs)
    folders.ensure_folder(paths)
    queue.resume(paths)
    output.line("the queue goes on")


@group.command("move", epilog=options.examples("imbtui queue move @last 1"))
def _move(
    run: options.Run,
    position: Annotated[int, typer.Argument(metavar="N", help="Its new turn, from 1.", show_default=False)],
    runs: options.Runs = None,
) -> None:
    """Give a waiting run another turn."""
    from imbtui import queue, store

    paths = options.runs_paths(runs)
    view = store.resolve(paths, run)
    queue.move(paths, view.id, position)
    output.line(f"{view.id} moved to turn {position}")


@group.command("slots", epilog=options.examples("imbtui queue slots 4", "imbtui queue slots --gpu 2"))
def _slots(
    number: Annotated[
        int | None, typer.Argument(metavar="N", help="Launches on the CPU at once.", show_default=False)
    ] = None,
    gpu: Annotated[
        int | None, typer.Option("--gpu", metavar="N", help="Launches on one GPU at once.")
    ] = None,
    runs: options.Runs = None,
    json: options.Json = False,
) -> None:
    """Say how many launches may run at once; without numbers, print how many may."""
    from imbtui import folders, queue

    paths = options.runs_paths(runs)
    for name, given in (("N", number), ("--gpu", gpu)):
        if given is not None and given < 1:
            raise UserError(f"at least one is needed, not {given}", where=name)
    if number is not None or gpu is not None:
        folders.ensure_folder(paths)
        queue.set_slots(paths, number, gpu_slots=gpu)
    chosen = queue.settings(paths)
    slots = chosen.slots or queue.default_slots()
    if json:
        output.document({"slots": slots, "gpu_slots": chosen.gpu_slots})
    else:
        output.line(f"{slots} at once on the CPU, {chosen.gpu_slots} on each GPU")
