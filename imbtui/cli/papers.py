"""`imbtui papers`: the sixteen papers, their numbers beside ours, and the verdict so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from imbtui.cli import options, output
from imbtui.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from rich.text import Text

    from imbtui.report.papers import Number, PaperReport

EXAMPLES = ("imbtui papers", "imbtui papers cao2019", "imbtui papers --json")


def command(
    slug: Annotated[
        str | None, typer.Argument(metavar="[PAPER]", help="One of them, with its claim and numbers.")
    ] = None,
    runs: options.Runs = None,
    json: options.Json = False,
) -> None:
    """List the sixteen papers: verdict so far, reported beside measured."""
    from imbtui.papers import BY_SLUG, PAPERS
    from imbtui.report.papers import report_papers

    if slug is not None and slug not in BY_SLUG:
        raise UserError("there is no such paper", where=slug, hint=did_you_mean(slug, list(BY_SLUG)))
    papers = PAPERS if slug is None else (BY_SLUG[slug],)
    reports = report_papers(options.runs_paths(runs), papers, warn=output.say)
    if json:
        output.document([report.to_json() for report in reports])
    elif slug is None:
        _print_all(reports)
    else:
        _print_one(reports[0])


def _print_all(reports: Sequence[PaperReport]) -> None:
    from rich.text import Text

    from imbtui import text
    from imbtui.report.table import FROM_MEMORY

    numbers = [report.headline for report in reports]
    columns = [
        output.Column("paper", [report.paper.slug for report in reports]),
        output.Column("claim", [report.paper.gist for report in reports], 2),
        output.Column("verdict", [_verdict(report) for report in reports]),
        output.Column("held", [report.held or "-" for report in reports], right=True),
        output.Column("recipes", [str(len(report.recipes)) for report in reports], 3, right=True),
        output.Column("last run", [text.ago(report.last_run) or "-" for report in reports], 1, right=True),
        output.Column("reported", [_reported(number) for number in numbers], right=True),
        output.Column("measured", [_measured(number) for number in numbers], right=True),
        output.Column("of", [number.of if number else "" for number in numbers], 4),
    ]
    (heading, *rows), left_out = output.arrange(columns, output.console().width)
    output.line(heading)
    for report, number, row in zip(reports, numbers, rows, strict=True):
        output.line(row)
        if "claim" in left_out:
            output.line(_below(report.paper.gist))
        if "of" in left_out and number is not None:
            output.line(_below(f"{number.reported_text()}: {number.of}"))
    if any(number is not None and not number.verified for number in numbers):
        output.line(Text(f"{FROM_MEMORY} from memory, not checked against the paper", style="dim"))
    output.say("`imbtui papers PAPER` tells more of one.")


def _below(words: str) -> Text:
    """Return what found no room in a row as a line below it."""
    from rich.text import Text

    line = Text(f"  {words}", style="dim")
    line.truncate(output.console().width, overflow="ellipsis")
    return line


def _verdict(report: PaperReport) -> Text:
    """Return its verdict; where there is nothing to judge, why."""
    return output.state(report.verdict if report.studies else report.progress)


def _reported(number: Number | None) -> str:
    return "-" if number is None else number.reported_text()


def _measured(number: Number | None) -> str:
    return "-" if number is None else number.measured_text()


def _print_one(report: PaperReport) -> None:
    from imbtui import text
    from imbtui.cli import conclude
    from imbtui.report.table import FROM_MEMORY

    when = text.ago(report.last_run)
    output.heading(report.paper.title)
    output.line(report.paper.claim)
    output.line()
    output.fields(
        [
            ("recipes", ", ".join(report.recipes) or "none yet"),
            ("runs", report.progress + (f", last {when}" if when else "")),
            ("verdict", output.state(report.verdict)),
        ]
    )
    if report.verdicts:
        output.line()
        conclude.print_verdicts(report.verdicts)
    if report.numbers:
        output.line()
        output.table(
            [
                output.Column("number", [n.of for n in report.numbers], shrink=True),
                output.Column("reported", [_reported(n) for n in report.numbers], right=True),
                output.Column("measured", [_measured(n) for n in report.numbers], right=True),
            ]
        )
        if not all(number.verified for number in report.numbers):
            output.line(f"{FROM_MEMORY} from memory, not checked against the paper")
