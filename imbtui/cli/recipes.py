"""`imbtui recipes`: the recipes that can be run by name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from imbtui.cli import options, output
from imbtui.errors import UserError

group = typer.Typer(
    invoke_without_command=True,
    help="List, show, check and begin recipes.",
    epilog=options.examples(
        "imbtui recipes", "imbtui recipes check my-study.toml", "imbtui recipes new my-study"
    ),
)

_TEMPLATE = """# {name}: what does it compare, and what should come out?
title = "{name}"
seeds = [0, 1, 2]

[dataset]
name = "digits"                 # `imbtui data ls` lists the data sets
protocol = "long_tail"

[[corruptions]]
name = "long_tail"
ratio = 100                     # largest class count / smallest
n_max = 120

[model]
name = "mlp"
hidden = [128, 64]

[loss]
name = "cross_entropy"

[optimizer]
name = "sgd"
lr = 0.05
momentum = 0.9

[train]
epochs = 40
batch_size = 64

[[arms]]                        # named variants: change any key by its dotted name
label = "CE"

[[arms]]
label = "LDAM"
set = {{ "loss.name" = "ldam", "model.head" = "cosine" }}

[[claims]]
says = "LDAM has a higher balanced accuracy than cross-entropy"
kind = "order"
metric = "test/balanced_accuracy"
arm = "LDAM"
above = "CE"
"""


@group.callback()
def _default(ctx: typer.Context, runs: options.Runs = None, json: options.Json = False) -> None:
    if ctx.invoked_subcommand is None:
        _list(json)


@group.command("ls", epilog=options.examples("imbtui recipes ls --json"))
def _ls(runs: options.Runs = None, json: options.Json = False) -> None:
    """List the recipes under ./recipes and those that come with imbtui."""
    _list(json)


def _list(json: bool) -> None:
    from imbtui.recipe import known

    rows = [_summary(name, path) for name, path in known().items()]
    if json:
        output.document(rows)
        return
    output.table(
        [
            output.Column("name", [row["name"] for row in rows]),
            output.Column("runs", ["-" if row["error"] else str(row["runs"]) for row in rows], 1, right=True),
            output.Column("title", [row["error"] or row["title"] for row in rows], 2, shrink=True),
        ]
    )


def _summary(name: str, path: Path) -> dict[str, Any]:
    from imbtui.recipe import load_study

    row: dict[str, Any] = {"name": name, "path": str(path), "title": "", "paper": "", "runs": 0, "error": ""}
    try:
        study = load_study(path)
    except UserError as error:
        return row | {"error": str(error)}
    return row | {
        "title": study.title,
        "paper": study.paper,
        "runs": len(study.runs),
        "seeds": list(study.seeds),
        "arms": [arm.label for arm in study.arms],
        "grid": study.grid,
        "claims": [claim.says for claim in study.claims],
    }


@group.command("show", epilog=options.examples("imbtui recipes show cao2019/quick"))
def _show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A recipe's name or file.", show_default=False)],
    runs: options.Runs = None,
    json: options.Json = False,
) -> None:
    """Print a recipe's file."""
    from imbtui.recipe import find
    from imbtui.recipe.study import read_text

    path = find(name)
    source = read_text(path)
    if json:
        output.document(_summary(name, path) | {"source": source})
        return
    for entry in source.splitlines():
        output.line(entry)


@group.command("check", epilog=options.examples("imbtui recipes check my-study.toml"))
def _check(
    recipes: options.Recipes,
    allow_plugins: Annotated[
        bool, typer.Option("--allow-plugins", help="Accept plug-ins from outside imbtui.")
    ] = False,
    runs: options.Runs = None,
    json: options.Json = False,
) -> None:
    """Validate recipes without running anything."""
    from imbtui import text
    from imbtui.recipe import load_study
    from imbtui.verdict import check_claims

    found: list[dict[str, Any]] = []
    complaints = []
    for reference in recipes:
        try:
            study = load_study(reference, allow_plugins=allow_plugins)
            check_claims(study.record())
        except UserError as error:
            complaints.append(str(error))
            found.append({"recipe": reference, "ok": False, "error": str(error), "warnings": []})
            continue
        found.append({"recipe": reference, "ok": True, "runs": len(study.runs), "warnings": study.warnings})
        if not json:
            output.line(f"{reference}: {text.plural(len(study.runs), 'run')}, nothing wrong")
        for warning in study.warnings:
            output.say(f"{reference}: warning: {warning}")
    if json:
        output.document(found)
    if complaints:
        raise UserError("\n".join(complaints))


@group.command("new", epilog=options.examples("imbtui recipes new my-study"))
def _new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="E.g. my-study.", show_default=False)],
    runs: options.Runs = None,
) -> None:
    """Write a small recipe to begin with, ./recipes/NAME.toml."""
    import re

    from imbtui import files

    stem = name.removesuffix(".toml")
    if not re.fullmatch(r"[A-Za-z0-9][\w-]*(/[A-Za-z0-9][\w-]*)*", stem):
        raise UserError(
            f'"{name}" is not a recipe\'s name',
            hint="Use letters, digits, - and _, and / for a folder under recipes.",
        )
    path = Path("recipes") / f"{stem}.toml"
    if path.exists():
        raise UserError("this file exists already", where=str(path))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_atomic(path, _TEMPLATE.format(name=stem))
    except OSError as error:
        raise UserError(f"it cannot be written: {error.strerror}", where=str(path)) from None
    output.line(str(path))
    output.say(f"Change it, then: imbtui run {stem}")
