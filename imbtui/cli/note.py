"""`imbtui note`."""

from __future__ import annotations

from typing import Annotated

import typer

from imbtui.cli import options, output

EXAMPLES = ('imbtui note @last "the margin was too large"', 'imbtui note 3 ""')


def command(
    run: options.Run,
    words: Annotated[list[str], typer.Argument(metavar="TEXT...", help="The note; an empty one clears it.")],
    runs: options.Runs = None,
) -> None:
    """Write a note on a run; it replaces the one before."""
    from imbtui import folders, store

    view = store.resolve(options.runs_paths(runs), run)
    note = " ".join(words).strip()
    folders.write_notes(view.path, tags=view.tags, note=note)
    output.line(f"{view.id}: {note or 'no note'}")
