"""What a study's runs have shown: a table over seeds, and its claims with their verdicts."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from imbtui.cli import output
from imbtui.files import printable

if TYPE_CHECKING:
    from imbtui.members import Member
    from imbtui.report.summary import Line
    from imbtui.verdict import Verdict

_INDENT = len("did not hold ")
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
    """Print each claim with what the runs say about it, and the figures behind it."""
    from rich.text import Text

    for verdict in verdicts:
        word = output.state(verdict.verdict)
        word.append(" " * (_INDENT - len(verdict.verdict)))
        says = verdict.says + ("" if verdict.asserted else " (not asserted)")
        first, *rest = _folded(says)
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
