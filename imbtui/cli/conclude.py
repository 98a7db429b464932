"""What a study's runs have shown: a table over seeds, and its claims with their verdicts."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from imbtui import text
from imbtui.cli import output
from imbtui.files import printable

if TYPE_CHECKING:
    from imbtui.members import Member
    from imbtui.report.summary import Line
    from imbtui.verdict import Verdict

_INDENT = len("did not hold ")
_ONE_LINE = 110
"""Characters from which on a claim and its figures stand side by side."""
_CONTROLS = "not asserted: what is expected not to show, or too weak to tell"
_HEADINGS = ("effect", "90 % interval", "p", "n")
_SHORT = {
    "test/balanced_accuracy": "balanced",
    "test/many_accuracy": "many",
    "test/medium_accuracy": "medium",
    "test/few_accuracy": "few",
    "test/accuracy": "accuracy",
}


def print_summary(members: Sequence[Member], *, title: str) -> None:
    """Print mean ± sd over seeds for each arm and grid point, at the end and at the best epoch."""
    from imbtui.report import summarise

    lines = summarise(members)
    output.heading(printable(title))
    _print_spreads(lines, best=False)
    if any(line.best for line in lines):
        output.line()
        _print_spreads(lines, best=True)


def _print_spreads(lines: Sequence[Line], *, best: bool) -> None:
    from rich.text import Text

    shown = [(line, line.best if best else line.last) for line in lines]
    names = list(dict.fromkeys(name for _, spreads in shown for name in spreads))
    selected = next((line.selected_on for line in lines if line.selected_on), "")
    which = f"at the best epoch by {selected}" if best else "after the last epoch"
    output.line(Text(f"{which}, mean ± sd over seeds", style="dim"))
    runs = [
        f"{line.finished}" if line.finished == line.asked else f"{line.finished}/{line.asked}"
        for line in lines
    ]
    columns = [
        output.Column("", [line.label or "all" for line in lines], shrink=True),
        output.Column("n", runs, right=True),
    ]
    for importance, name in enumerate(names, 1):
        cells = [spreads[name].text() if name in spreads else "-" for _, spreads in shown]
        columns.append(output.Column(_SHORT.get(name, name), cells, importance, right=True))
    output.table(columns)


def print_verdicts(verdicts: Sequence[Verdict]) -> None:
    """Print each claim with what the runs say about it: a line each where there is room, else below it.

    Negative controls stand apart, below what is asserted.
    """
    from rich.text import Text

    asserted = [verdict for verdict in verdicts if verdict.asserted]
    controls = [verdict for verdict in verdicts if not verdict.asserted]
    if output.console().width >= _ONE_LINE:
        _print_lines(asserted, controls)
        return
    _print_stacked(asserted)
    if controls:
        output.line()
        output.line(Text(_CONTROLS, style="dim"))
        _print_stacked(controls)


def _print_lines(asserted: Sequence[Verdict], controls: Sequence[Verdict]) -> None:
    """Print one row a claim; a long claim, and why it could not be judged, go on below in its column."""
    from rich.text import Text

    figures = [_figures(verdict) for verdict in (*asserted, *controls)]
    around = [_INDENT - 1, *(max(map(len, column)) for column in zip(_HEADINGS, *figures, strict=True))]
    room = output.console().width - sum(width + 2 for width in around)
    blank = [""] * len(_HEADINGS)
    rows: list[list[str | Text]] = []
    for place, verdict in enumerate((*asserted, *controls)):
        if place == len(asserted):
            rows += [["", "", *blank], ["", Text(_CONTROLS, style="dim"), *blank]]
        first, *more = textwrap.wrap(printable(verdict.says), room) or [""]
        rows.append([output.state(verdict.verdict), first, *figures[place]])
        rows += [["", part, *blank] for part in more]
        rows += [
            ["", Text(part, style="dim"), *blank] for part in textwrap.wrap(printable(verdict.reason), room)
        ]
    verdict_column, claim_column, *figure_columns = zip(*rows, strict=True)
    output.table(
        [
            output.Column("verdict", verdict_column),
            output.Column("claim", claim_column),
            *(
                output.Column(name, cells, right=True)
                for name, cells in zip(_HEADINGS, figure_columns, strict=True)
            ),
        ]
    )


def _figures(verdict: Verdict) -> list[str]:
    if verdict.effect is None:
        return ["", "", "", str(verdict.n or "")]
    effect, low, high = (
        "" if value is None else text.number(value, 3)
        for value in (verdict.effect, verdict.low, verdict.high)
    )
    p = "" if verdict.p is None else text.p_value(verdict.p).removeprefix("p ").removeprefix("= ")
    return [effect, f"[{low}, {high}]" if low and high else "", p, str(verdict.n)]


def _print_stacked(verdicts: Sequence[Verdict]) -> None:
    from rich.text import Text

    for verdict in verdicts:
        word = output.state(verdict.verdict)
        word.append(" " * (_INDENT - len(verdict.verdict)))
        first, *rest = _folded(verdict.says)
        output.line(word.append(first))
        for more in rest:
            output.line(" " * _INDENT + more)
        for more in _folded(verdict.figures()):
            output.line(Text(" " * _INDENT + more, style="dim"))


def _folded(sentence: str) -> list[str]:
    """Return a sentence in lines that fit beside the verdict; in one line where no person reads it."""
    safe = printable(sentence)
    if not output.is_terminal():
        return [safe] if safe else []
    return textwrap.wrap(safe, max(40, output.console().width - _INDENT), break_long_words=False)
