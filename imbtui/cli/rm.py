"""`imbtui rm`."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from imbtui.cli import options, output
from imbtui.errors import UserError
from imbtui.files import printable

EXAMPLES = ("imbtui rm @last", "imbtui rm -y 1 2 3", "imbtui rm --purge")


def command(
    run: Annotated[
        list[str] | None, typer.Argument(metavar="RUN...", help="Runs, as in `imbtui show`.")
    ] = None,
    purge: Annotated[bool, typer.Option("--purge", help="Empty the trash.")] = False,
    yes: options.Yes = False,
    runs: options.Runs = None,
) -> None:
    """Move runs to the trash, RUNS/.trash; --purge empties it."""
    from imbtui import folders, index, store, text

    paths = options.runs_paths(runs)
    if not run and not purge:
        raise UserError("no run is named", hint="Name runs, or empty the trash with --purge.")
    views = [store.resolve(paths, reference) for reference in dict.fromkeys(run or ())]
    for view in views:
        if view.state in store.ACTIVE:
            raise UserError(f"it is {view.state}", where=view.id, hint="Stop it first: imbtui stop.")
    if views:
        named = ", ".join(printable(view.id) for view in views[:3]) + (", ..." if len(views) > 3 else "")
        _confirm(f"Move {text.plural(len(views), 'run')} to the trash ({named})?", yes)
        for view in views:
            folders.remove(paths, view.id)
        index.sync(paths, [view.id for view in views])
        output.line(f"{text.plural(len(views), 'run')} moved to {paths.trash}")
    if purge:
        _purge(paths.trash, yes)


def _purge(trash: Path, yes: bool) -> None:
    from imbtui import text

    found = [Path(entry.path) for entry in os.scandir(trash)] if trash.is_dir() else []
    if not found:
        output.say("the trash is empty")
        return
    amount = text.size(sum(f.lstat().st_size for run in found for f in run.rglob("*") if f.is_file()))
    _confirm(f"Delete {text.plural(len(found), 'run')} for good ({amount})?", yes)
    for entry in found:
        shutil.rmtree(entry)
    output.line(f"{text.plural(len(found), 'run')} deleted, {amount} freed")


def _confirm(question: str, yes: bool) -> None:
    """Go on only if the user agrees.

    Raises:
        UserError: nobody can be asked.
        typer.Abort: the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise UserError("nobody can be asked here", hint="Say --yes if you mean it.")
    if not typer.confirm(question, err=True):
        raise typer.Exit(0)
