"""`imbtui data`: which data sets there are, and fetching them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from imbtui.cli import options, output
from imbtui.errors import UserError

group = typer.Typer(
    invoke_without_command=True,
    help="List data sets and fetch them.",
    epilog=options.examples("imbtui data ls", "imbtui data get cifar10"),
)


@group.callback()
def _default(ctx: typer.Context, runs: options.Runs = None, json: options.Json = False) -> None:
    if ctx.invoked_subcommand is None:
        _list(json)


@group.command("ls", epilog=options.examples("imbtui data ls"))
def _ls(runs: options.Runs = None, json: options.Json = False) -> None:
    """List the data sets, whether they are there, and where they are looked for."""
    _list(json)


def _list(json: bool) -> None:
    from imbtui import paths, plugins

    root = paths.data_root()
    rows = [_row(name) for name in plugins.names("dataset")]
    if json:
        output.document(rows)
        return
    output.table(
        [
            output.Column("name", [row["name"] for row in rows]),
            output.Column("there", [_word(row) for row in rows]),
            output.Column("what", [row["summary"] for row in rows], 1, shrink=True),
        ]
    )
    output.say(f"data root: {root}")


def _row(name: str) -> dict[str, Any]:
    from imbtui import paths, plugins, submit

    root = paths.data_root()
    needs_folder = plugins.options("dataset", name).get("folder") is not None
    return {
        "name": name,
        "there": None if needs_folder else submit.has_data(name, {}, root),
        "fetchable": plugins.defines("dataset", name, "download"),
        "root": str(root),
        "summary": plugins.summary("dataset", name),
    }


def _word(row: dict[str, Any]) -> str:
    if row["there"] is None:
        return "your own"
    return "yes" if row["there"] else "no"


@group.command("get", epilog=options.examples("imbtui data get cifar10"))
def _get(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A data set's name.", show_default=False)],
    runs: options.Runs = None,
) -> None:
    """Fetch a data set into the data root and verify its checksums."""
    from imbtui import paths, plugins, submit

    plugins.check_name("dataset", name, where=name)
    root = paths.data_root()
    row = _row(name)
    if row["there"]:
        output.line(f"{name} is there already, under {root}")
        return
    if not row["fetchable"]:
        if plugins.literal("dataset", name, "OBTAIN") is not None:
            raise UserError(f'"{name}" is not under {root}', hint=submit.how_to_get(name))
        raise UserError(
            f'"{name}" reads your own files and cannot be fetched',
            hint=f"Put them under {root}; see its options.",
        )
    output.say(f"fetching {name} into {root}")
    dataset = plugins.load("dataset", name)()
    dataset.download(root)
    if not submit.has_data(name, {}, root):
        raise UserError("it was fetched, but its files are not where they should be", where=str(root))
    output.line(f"{name} is there, under {root}")
