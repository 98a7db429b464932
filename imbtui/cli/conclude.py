"""What a study's runs have shown: a table over seeds, and its claims with their verdicts."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from imbtui import text
from imbtui.cli import output
from imbtui.files import printable

if TYPE_CHECKING:
    from imbtui.members import Member
    from imbtui.paths import RunsPaths
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


def views_of(runs: RunsPaths, records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the runs that stand for the digests of studies, by digest; no other folder is opened."""
    from imbtui import index, store
    from imbtui.members import by_digest

    wanted = {member["digest"] for record in records for member in record.get("members", [])}
    rows = [row for row in index.query(runs, warn=output.say) if row.get("digest") in wanted]
    return by_digest(store.read(runs.run(row["id"])) for row in rows)


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
        for more in _folded(figures(verdict)):
            output.line(Text(" " * _INDENT + more, style="dim"))


def _folded(sentence: str) -> list[str]:
    """Return a sentence in lines that fit beside the verdict; in one line where no person reads it."""
    safe = printable(sentence)
    if not output.is_terminal():
        return [safe] if safe else []
    return textwrap.wrap(safe, max(40, output.console().width - _INDENT), break_long_words=False)


def figures(verdict: Verdict) -> str:
    """Return the figures behind a verdict: effect, interval, p, n, test, and the reason."""
    parts = []
    if verdict.effect is not None:
        interval = ""
        if verdict.low is not None and verdict.high is not None:
            interval = f" [{text.number(verdict.low, 3)}, {text.number(verdict.high, 3)}]"
        wants = f"{verdict.wants}: " if verdict.wants else ""
        parts.append(f"{wants}{text.number(verdict.effect, 3)}{interval}")
        if verdict.p is not None:
            parts.append("p < 0.001" if verdict.p < 0.001 else f"p = {verdict.p:.3f}")
        parts.append(f"n = {verdict.n}")
        if verdict.test:
            parts.append(verdict.test)
    if verdict.reason:
        parts.append(verdict.reason)
    return ", ".join(parts)
