"""Parameters that many commands share, and what they mean."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imbtui import paths
from imbtui.paths import RunsPaths, runs_folder


def runs_like(incomplete: str) -> list[str]:
    """Return the ids of runs that begin like what was typed, for completion."""
    from imbtui import files, store

    ids = store.list_ids(RunsPaths(runs_folder(_everywhere)))
    return sorted(i for i in ids if i.startswith(incomplete) and files.printable(i) == i)


def _recipes_like(incomplete: str) -> list[str]:
    from imbtui.recipe import known

    return [name for name in known() if name.startswith(incomplete)]


Runs = Annotated[
    Path | None,
    typer.Option("--runs", metavar="DIR", help="Runs folder (else IMBTUI_RUNS, else ./runs)."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Run = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="Id, start of an id, row of the last listing, @last or @~1.",
        autocompletion=runs_like,
        show_default=False,
    ),
]
ManyRuns = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN...",
        help="Ids, starts of ids, rows of the last listing, @last or @~1.",
        autocompletion=runs_like,
        show_default=False,
    ),
]
Recipes = Annotated[
    list[str],
    typer.Argument(
        metavar="RECIPE...",
        help="Recipe files or names; `imbtui recipes` lists the names.",
        autocompletion=_recipes_like,
        show_default=False,
    ),
]

# `imbtui --runs DIR ls` means the same as `imbtui ls --runs DIR`.
_everywhere: Path | None = None


def set_runs_everywhere(given: Path | None) -> None:
    """Remember the `--runs` that stood before the command's name; it yields to one behind it."""
    global _everywhere
    _everywhere = given


def runs_paths(given: Path | None) -> RunsPaths:
    """Return the runs folder that the user means; it need not be there yet.

    Raises:
        UserError: there is something else of that name.
    """
    return paths.runs_paths(given or _everywhere)


def examples(*lines: str) -> str:
    """Return example command lines as the end of a command's help."""
    heading = "Example:" if len(lines) == 1 else "Examples:"
    # \b keeps typer from filling these lines like a paragraph.
    return "\n".join(["\b", heading, *(f"  {line}" for line in lines)])


def paragraphs(docstring: str | None) -> str:
    """Return a docstring whose lines are joined, so that the terminal's width breaks them."""
    import inspect

    return "\n\n".join(" ".join(part.split()) for part in inspect.cleandoc(docstring or "").split("\n\n"))
