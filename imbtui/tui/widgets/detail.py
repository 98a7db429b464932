"""Two lines about the selected run, for terminals without room for the preview."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from textual.strip import Strip

from imbtui import text
from imbtui.files import printable
from imbtui.tui import rows as say
from imbtui.tui.grouping import Group, summary
from imbtui.tui.messages import Row
from imbtui.tui.widgets.kept import Kept


class Detail(Kept):
    """First line: id and what the run is. Second line: why it is where it is, or its numbers."""

    DEFAULT_CSS = """
    Detail { height: 2; background: $surface; padding: 0 1; }
    Detail > .detail--id { color: $text-primary; background: $surface; }
    Detail > .detail--quiet { color: $text-muted; background: $surface; }
    Detail > .detail--text { color: $foreground; background: $surface; }
    Detail > .detail--bad { color: $text-error; background: $surface; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"detail--id", "detail--quiet", "detail--text", "detail--bad"}

    def __init__(self) -> None:
        super().__init__()
        self._row: Row | None = None
        self._knobs = ""
        self._marked = 0
        self._group: Group | None = None

    def show(self, row: Row | None, knobs: str, *, marked: int, group: Group | None = None) -> None:
        """Show a run, or a group of them.

        Args:
            knobs: what its recipe mostly is; empty while that is read.
            marked: how many runs are marked.
        """
        before = (self._row, self._knobs, self._marked, self._group)
        self._row, self._knobs, self._marked, self._group = row, knobs, marked, group
        if before != (row, knobs, marked, group):
            self.repaint()

    def render_line(self, y: int) -> Strip:
        row, quiet = self._row, self.style_of("detail--quiet")
        if self._group is not None:
            return self._of_group(self._group, y)
        if row is None:
            return Strip.blank(self.size.width, quiet)
        if y == 0:
            marked = f"{text.plural(self._marked, 'run')} marked   " if self._marked else ""
            segments = [
                Segment(marked, self.style_of("detail--text")),
                Segment(printable(row["id"]), self.style_of("detail--id")),
                Segment(f"  {self._knobs}", quiet),
            ]
        else:
            bad = row["state"] in ("failed", "crashed")
            style = self.style_of("detail--bad" if bad else "detail--text")
            segments = [Segment(_second(row, self.size.width), style)]
        return Strip(segments).crop_extend(0, self.size.width, quiet)

    def _of_group(self, group: Group, y: int) -> Strip:
        quiet = self.style_of("detail--quiet")
        said = [text for _, text in summary(group)]
        if y == 0:
            name = Segment(group.label, self.style_of("detail--id"))
            return Strip([name, Segment(f"  {said[0]}", quiet)]).crop_extend(0, self.size.width, quiet)
        rest = "   ".join(f"{label} {text}" for label, text in summary(group)[1:])
        return Strip([Segment(rest, self.style_of("detail--text"))]).crop_extend(0, self.size.width, quiet)


def _second(row: Row, width: int) -> str:
    """Return why a run waits or ended, else as many of its newest numbers as fit."""
    if row["state"] in ("failed", "crashed", "queued") and say.situation(row):
        return f"{row['state']}: {say.situation(row)}"
    numbers = [
        f"{label} {text.number(value)}"
        for label, metric in (
            ("test acc", "test/accuracy"),
            ("few-shot", "test/few_accuracy"),
            ("val acc", "val/accuracy"),
            ("train loss", "train/loss"),
        )
        if (value := say.last(row, metric)) is not None
    ]
    left = say.seconds_left(row)
    if left is not None:
        numbers.insert(0, f"{say.epochs(row)}, about {text.duration(left)} left")
    while len("   ".join(numbers)) > width:
        numbers.pop()
    return "   ".join(numbers) or say.situation(row) or row["state"]
