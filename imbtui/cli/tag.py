"""`imbtui tag`."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from imbtui.cli import options, output

EXAMPLES = ("imbtui tag @last +baseline", "imbtui tag 3 +paper -draft")


class CLASS(TyperCommand):
    """Lets a tag be taken away as `-draft`, which otherwise would be read as five options."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Turn `-draft` into `--remove draft`."""
        turned: list[str] = []
        for place, argument in enumerate(args):
            is_value = place > 0 and args[place - 1] in ("--runs", "--remove")
            if re.match(r"-[^-]", argument) and argument != "-h" and not is_value:
                turned += ["--remove", argument[1:]]
            else:
                turned.append(argument)
        return super().parse_args(ctx, turned)


def command(
    run: options.Run,
    add: Annotated[
        list[str] | None,
        typer.Argument(metavar="[+TAG | -TAG]...", help="+TAG adds a tag, -TAG takes it away."),
    ] = None,
    remove: Annotated[list[str] | None, typer.Option("--remove", metavar="TAG", hidden=True)] = None,
    runs: options.Runs = None,
) -> None:
    """Add tags to a run (+a) or take them away (-b).

    Without either, its tags are printed.
    """
    from imbtui import folders, index, store

    paths = options.runs_paths(runs)
    added = [tag.removeprefix("+") for tag in add or ()]
    for tag in [*added, *(remove or ())]:
        folders.check_tag(tag)
    view = store.resolve(paths, run)
    tags = (set(view.tags) | set(added)) - set(remove or ())
    if tags != set(view.tags):
        folders.write_notes(view.path, tags=sorted(tags), note=view.note)
        index.sync(paths, [view.id])
    output.line(f"{view.id}: {' '.join(sorted(tags)) or 'no tags'}")
