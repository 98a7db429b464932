"""The selected run at a glance: what it is, its curve, its key numbers."""

from __future__ import annotations

import textwrap

from textual.app import ComposeResult
from textual.containers import Vertical

from imbtui import text
from imbtui.files import printable
from imbtui.tui import rows as say
from imbtui.tui.curves import Curves
from imbtui.tui.messages import Row
from imbtui.tui.series import of_family
from imbtui.tui.widgets.lines import Line, Lines
from imbtui.tui.widgets.plot import Plot

_NUMBERS = (
    ("balanced accuracy", "balanced_accuracy"),
    ("accuracy", "accuracy"),
    ("many-shot", "many_accuracy"),
    ("medium-shot", "medium_accuracy"),
    ("few-shot", "few_accuracy"),
    ("loss", "loss"),
)
SPLITS = ("test", "val", "train")


class Preview(Vertical):
    """Facts, one chart and a small table of numbers."""

    DEFAULT_CSS = """
    Preview { padding: 0 1 0 2; border-left: solid $foreground 15%; }
    Preview > Lines { overflow: hidden hidden; }
    Preview > #facts { height: 6; }
    Preview > #numbers { height: 8; margin-top: 1; }
    """

    def compose(self) -> ComposeResult:
        for name in ("facts", "numbers"):
            lines = Lines(id=name)
            lines.can_focus = False
            if name == "numbers":
                yield Plot(id="curve")
            yield lines

    def show(self, row: Row | None, knobs: str, curves: Curves | None) -> None:
        """Show a run.

        Args:
            knobs: what its recipe mostly is; empty while that is read.
            curves: its metrics; None while they are read.
        """
        self.query_one("#facts", Lines).show(_facts(row, knobs, self.size.width - 4) if row else [])
        plot = self.query_one("#curve", Plot)
        if row is None or curves is None:
            plot.draw("", ())
            self.query_one("#numbers", Lines).show([])
            return
        families = curves.families()
        first = next(iter(families), "")
        plot.draw(first.replace("_", " "), of_family(curves, families.get(first, ())), unit="epoch")
        self.query_one("#numbers", Lines).show(numbers(curves))


def _facts(row: Row, knobs: str, width: int) -> list[Line]:
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
        [(printable(" ".join(f"#{tag}" for tag in row.get("tags", ()))), "accent")],
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
