"""Claims with their verdicts as lines of text."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from imbtui.files import printable
from imbtui.tui.widgets.lines import Line

if TYPE_CHECKING:
    from imbtui.report.papers import StudyReport
    from imbtui.verdict import Verdict

STYLES = {"held": "good", "did not hold": "bad", "undecided": "warning", "not run": "quiet"}
_INDENT = len("did not hold") + 2


def claim_lines(study: StudyReport, width: int) -> list[Line]:
    """Return a study's claims: verdict, sentence and figures; negative controls apart, below the others.

    Args:
        width: cells to use.
    """
    if study.trouble:
        return [[(part, "bad")] for part in textwrap.wrap(printable(study.trouble), max(20, width))]
    if not study.says:
        return [[("The recipe makes no claims.", "quiet")]]
    if not study.verdicts:
        lines: list[Line] = []
        for says in study.says:
            lines += _entry("not run", printable(says), "", width)
        return lines
    asserted = [verdict for verdict in study.verdicts if verdict.asserted]
    controls = [verdict for verdict in study.verdicts if not verdict.asserted]
    lines = _judged(asserted, width)
    if controls:
        lines += [[("", "text")], [("Not asserted: expected not to show, or too weak to tell", "quiet")]]
        lines += _judged(controls, width)
    return lines


def _judged(verdicts: Sequence[Verdict], width: int) -> list[Line]:
    lines: list[Line] = []
    for verdict in verdicts:
        lines += _entry(verdict.verdict, printable(verdict.says), printable(verdict.figures()), width)
    return lines


def _entry(word: str, says: str, figures: str, width: int) -> list[Line]:
    room = max(24, width - _INDENT)
    first, *more = textwrap.wrap(says, room) or [""]
    lines: list[Line] = [[(f"{word:<{_INDENT}}", STYLES.get(word, "text")), (first, "text")]]
    lines += [[(" " * _INDENT + part, "text")] for part in more]
    unbroken = figures.replace(" = ", "\u00a0=\u00a0")  # `n = 3` stays on one line
    lines += [
        [(" " * _INDENT + part.replace("\u00a0", " "), "quiet")] for part in textwrap.wrap(unbroken, room)
    ]
    return lines
