"""The selected run at a glance: what it is, its curve, its key numbers."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from textual.app import ComposeResult
from textual.containers import Vertical

from imbtui import text
from imbtui.files import printable
from imbtui.plotting import braille
from imbtui.plotting.braille import Series
from imbtui.tui import rows as say
from imbtui.tui.curves import Curves
from imbtui.tui.grouping import Group, summary
from imbtui.tui.messages import Row
from imbtui.tui.series import of_family
from imbtui.tui.widgets.kept import Kept
from imbtui.tui.widgets.lines import Line, Lines
from imbtui.tui.widgets.plot import NOTHING, Plot

_NUMBERS = (
    ("balanced accuracy", "balanced_accuracy"),
    ("accuracy", "accuracy"),
    ("many-shot", "many_accuracy"),
    ("medium-shot", "medium_accuracy"),
    ("few-shot", "few_accuracy"),
    ("loss", "loss"),
)
MOST_SEEDS = 8
SPLITS = ("test", "val", "train")


class Preview(Vertical, Kept):
    """Facts, one chart and a small table of numbers."""

    DEFAULT_CSS = """
    Preview { padding: 0 1 0 2; border-left: solid $foreground 15%; }
    Preview > Lines { overflow: hidden hidden; }
    Preview > #facts { height: 6; }
    Preview > #numbers { height: 8; margin-top: 1; }
    """

    def compose(self) -> ComposeResult:
        for name in ("facts", "numbers"):
            lines = Lines(id=name, fixed=True)
            lines.can_focus = False
            if name == "numbers":
                yield Plot(id="curve")
            yield lines

    @staticmethod
    def runs_of(group: Group) -> list[str]:
        """Return the ids of the runs whose curves are drawn for a group: an arm's seeds."""
        newest = {row.get("seed", 0): row["id"] for row in reversed(_by_seed(group))}
        return [newest[seed] for seed in sorted(newest)[: len(braille.PATTERNS)]] if group.level else []

    def show_group(self, group: Group, curves: Mapping[str, Curves]) -> None:
        """Show a group of runs: its spread, a line for each seed, and each seed's number.

        Args:
            curves: metrics by run, as far as they have been read.
        """
        facts: list[Line] = [[(group.label, "strong")]]
        facts += [[(f"{label:<24}", "quiet"), (said, "text")] for label, said in summary(group)]
        self.query_one("#facts", Lines).show(facts)
        metric = say.MAIN_METRIC
        seeds = {row["id"]: row.get("seed", "") for row in _by_seed(group)}
        series = [
            Series(f"seed {seeds[i]}", curves[i].lines[metric].epochs, curves[i].lines[metric].values)
            for i in self.runs_of(group)
            if i in curves and metric in curves[i].lines
        ]
        title = f"{metric.partition('/')[2].replace('_', ' ')}, {metric.partition('/')[0]}"
        self.query_one("#curve", Plot).draw(title if series else "", series, unit="epoch", empty="")
        numbers: list[Line] = [
            [
                (f"seed {row.get('seed', ''):<6}", "quiet"),
                (f"{row['state']:<10}", "text"),
                (text.number(say.last(row)), "text"),
            ]
            for row in _by_seed(group)[:MOST_SEEDS]
        ]
        self.query_one("#numbers", Lines).show(numbers if group.level else [])

    def show(self, row: Row | None, knobs: str, curves: Curves | None, *, note: str = "") -> None:
        """Show a run.

        Args:
            knobs: what its recipe mostly is; empty while that is read.
            curves: its metrics; None while they are read.
            note: what the user wrote on it.
        """
        facts = self.query_one("#facts", Lines)
        facts.show(_facts(row, knobs, facts.size.width, note) if row else [])
        plot = self.query_one("#curve", Plot)
        if row is None or curves is None:
            plot.draw("", (), empty=NOTHING if row else "")
            self.query_one("#numbers", Lines).show([])
            return
        families = curves.families()
        first = next(iter(families), "")
        plot.draw(first.replace("_", " "), of_family(curves, families.get(first, ())), unit="epoch")
        self.query_one("#numbers", Lines).show(numbers(curves))


def _by_seed(group: Group) -> list[Row]:
    return sorted(group.runs, key=lambda row: row.get("seed", 0))


def _facts(row: Row, knobs: str, width: int, note: str) -> list[Line]:
    state = row["state"]
    colour = {
        "running": "accent",
        "finished": "good",
        "stopped": "warning",
        "failed": "bad",
        "crashed": "bad",
    }.get(state, "quiet")
    situation = say.situation(row)
    left = say.seconds_left(row)
    if left is not None:
        where = say.device(row)
        situation += f", about {text.duration(left)} left" + (f", on {where}" if where else "")
    return [
        [(say.name(row), "strong"), (f"   seed {row.get('seed', '')}", "text")],
        [(printable(row.get("study", "")), "text"), (f"   {printable(row['id'])}", "quiet")],
        *([(part, "quiet")] for part in [*textwrap.wrap(knobs, max(20, width)), ""][:2]),
        [(state, colour), (f"   {situation}" if situation else "", "bad" if colour == "bad" else "text")],
        [
            (printable(" ".join(f"#{tag}" for tag in row.get("tags", ()))), "accent"),
            (printable(f"  {note}") if note else "", "text"),
        ],
    ]


def numbers(curves: Curves) -> list[Line]:
    """Return a table of the newest values, a column a split."""
    splits = [s for s in SPLITS if any(name.startswith(f"{s}/") for name in curves.last)]
    if not splits:
        return []
    lines: list[Line] = [[(f"{'':<18}", "quiet"), *((f"{split:>10}", "quiet") for split in splits)]]
    for label, metric in _NUMBERS:
        values = [curves.last.get(f"{split}/{metric}") for split in splits]
        if any(value is not None for value in values):
            shown = [(f"{'–' if v is None else text.number(v):>10}", "text") for v in values]
            lines.append([(f"{label:<18}", "quiet"), *shown])
    return lines
