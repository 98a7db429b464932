"""`imbtui reindex`."""

from __future__ import annotations

from imbtui.cli import options, output
from imbtui.errors import UserError

EXAMPLES = ("imbtui reindex",)


def command(runs: options.Runs = None, json: options.Json = False) -> None:
    """Write the index of runs anew from the run folders."""
    from imbtui import folders, index, text

    paths = options.runs_paths(runs)
    if not paths.root.is_dir():
        raise UserError("there is no such runs folder", where=str(paths.root))
    folders.ensure_folder(paths)
    count = index.rebuild(paths)
    if json:
        output.document({"runs": count})
    else:
        output.line(f"{text.plural(count, 'run')} in the index")
