"""`imbtui table`: a study's results as rows by columns."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from imbtui.cli import options, output
from imbtui.files import printable

EXAMPLES = (
    "imbtui table quickstart --rows arm --metric test/balanced_accuracy",
    "imbtui table my-study --rows arm --cols dataset -m test/error --format latex",
)


class Form(StrEnum):
    """What a table is written in."""

    md = "md"
    csv = "csv"
    latex = "latex"


def command(
    study: Annotated[
        str, typer.Argument(metavar="STUDY", help="A study, or STUDY@VARIANT.", show_default=False)
    ],
    rows: Annotated[
        str, typer.Option("--rows", metavar="KEY", help="arm, a grid key, a recipe key.")
    ] = "arm",
    cols: Annotated[
        str | None, typer.Option("--cols", metavar="KEY", help="Likewise; none gives one column.")
    ] = None,
    metric: Annotated[
        str, typer.Option("--metric", "-m", metavar="METRIC", help="A name, or an expression as in claims.")
    ] = "test/balanced_accuracy",
    at: Annotated[
        str, typer.Option("--at", metavar="WHICH", help="last, best, max, min, epoch:8, mean_last:5 ...")
    ] = "last",
    stage: Annotated[str | None, typer.Option("--stage", metavar="NAME", help="Of which stage.")] = None,
    form: Annotated[Form, typer.Option("--format", "-f", help="Markdown, CSV or LaTeX.")] = Form.md,
    runs: options.Runs = None,
    json: options.Json = False,
) -> None:
    """Print a study's results as rows by columns.

    A cell holds mean ± sd over seeds, n, and the paper's number.
    """
    from imbtui import metrics
    from imbtui.cli import studies
    from imbtui.members import members_of
    from imbtui.report import pivot, render
    from imbtui.report.studies import named, newest, title, views_of

    metrics.parse_at(at, where="--at")
    paths = options.runs_paths(runs)
    records = studies.find(paths, study)
    record = newest(records)
    if len(records) > 1:
        others = ", ".join(named(one) for one in records if one is not record)
        output.say(f"this is {named(record)}, {title(record)}; there are also {others}")
    members = members_of(record, views_of(paths, [record], warn=output.say))
    table = pivot(
        members,
        rows=rows,
        columns=cols,
        metric=metric,
        at=at,
        stage=stage,
        reported=record.get("reported", ()),
        known=record.get("metrics", ("*",)),
    )
    if json:
        output.document(table.to_json())
    else:
        sys.stdout.write("\n".join(map(printable, render(table, form.value).split("\n"))))
