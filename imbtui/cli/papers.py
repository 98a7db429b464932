"""`imbtui papers`: the sixteen papers, their numbers beside ours, and the verdict so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from imbtui.cli import options, output
from imbtui.errors import UserError, did_you_mean

if TYPE_CHECKING:
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
    firsts = [report.first_number for report in reports]
    output.table(
        [
            output.Column("paper", [report.paper.slug for report in reports]),
            output.Column("verdict", [output.state(report.verdict) for report in reports]),
            output.Column("recipes", [str(len(report.recipes)) for report in reports], 2, right=True),
            output.Column("reported", [_reported(number) for number in firsts], 1, right=True),
            output.Column("measured", [_measured(number) for number in firsts], 1, right=True),
            output.Column("title", [report.paper.title for report in reports], 3, shrink=True),
        ]
    )
    output.say("`imbtui papers PAPER` tells more of one.")


def _reported(number: Number | None) -> str:
    return "-" if number is None else number.reported_text()


def _measured(number: Number | None) -> str:
    return "-" if number is None else number.measured_text()


def _print_one(report: PaperReport) -> None:
    from imbtui import text
    from imbtui.cli import conclude
    from imbtui.report.table import FROM_MEMORY

    output.heading(report.paper.title)
    output.line(report.paper.claim)
    output.line()
    output.fields(
        [
            ("recipes", ", ".join(report.recipes) or "none yet"),
            ("runs", report.progress),
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
                output.Column("study", [n.study for n in report.numbers], 2),
                output.Column("where", [text.point(n.where) for n in report.numbers], shrink=True),
                output.Column("metric", [n.metric for n in report.numbers], 1),
                output.Column("reported", [_reported(n) for n in report.numbers], right=True),
                output.Column("measured", [_measured(n) for n in report.numbers], right=True),
            ]
        )
        if not all(number.verified for number in report.numbers):
            output.line(f"{FROM_MEMORY} from memory, not checked against the paper")
