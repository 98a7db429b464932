"""Accuracy of each class as a bar, beside the number of its training examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType

from imbtui import text
from imbtui.tui.curves import Curves
from imbtui.tui.widgets.lines import Line, Lines

SPLITS = ("test", "val", "train")
_GROUPS = (("many-shot", "many_accuracy"), ("medium-shot", "medium_accuracy"), ("few-shot", "few_accuracy"))


class ClassesPane(Lines):
    """Bars; a key changes the split."""

    TITLE = "Classes"
    DEFAULT_CSS = "ClassesPane { padding: 0 1; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "split", "split", id="classes.split", tooltip="Test, validation or training examples."),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._curves: Curves | None = None
        self._counts: Sequence[int] = ()
        self._shots: Sequence[int] = (20, 100)
        self._split = ""

    def show_run(self, curves: Curves | None, counts: Sequence[int], shots: Sequence[int]) -> None:
        """Show a run.

        Args:
            curves: its metrics.
            counts: training examples of each class; empty while they are not known.
            shots: below the first a class is few-shot, above the second many-shot.
        """
        self._curves, self._counts, self._shots = curves, counts, shots
        self._draw()

    def action_split(self) -> None:
        splits = self._splits
        if splits:
            at = splits.index(self._split) if self._split in splits else -1
            self._split = splits[(at + 1) % len(splits)]
            self._draw()

    def on_resize(self, event: events.Resize) -> None:
        self._draw()

    @property
    def _splits(self) -> list[str]:
        known = self._curves.lists if self._curves else {}
        return [split for split in SPLITS if f"{split}/class_accuracy" in known]

    def _draw(self) -> None:
        splits = self._splits
        if not splits or self._curves is None:
            self.show([[("no evaluation yet", "quiet")]])
            return
        if self._split not in splits:
            self._split = splits[0]
        accuracies = self._curves.lists[f"{self._split}/class_accuracy"]
        groups = [(label, self._curves.last.get(f"{self._split}/{metric}")) for label, metric in _GROUPS]
        head: Line = [
            (f"{self._split} accuracy", "strong"),
            *((f"   {label} {text.number(value)}", "quiet") for label, value in groups if value is not None),
        ]
        width = self.scrollable_content_region.width
        self.show([head, [("", "text")], *bars(accuracies, self._counts, self._shots, width)])


def bars(
    accuracies: Sequence[float | None], counts: Sequence[int], shots: Sequence[int], width: int
) -> list[Line]:
    """Return a line for each class: number, training examples, group, accuracy.

    Args:
        accuracies: None for a class without examples in the split.
        counts: training examples of each class; may be empty.
        shots: see `ClassesPane.show_run`.
        width: cells to use.
    """
    room = max(10, width - 40)
    lines: list[Line] = [[(f"{'class':>5}  {'trained on':>10}  {'':<6}  accuracy", "quiet")]]
    for label, accuracy in enumerate(accuracies):
        count = counts[label] if label < len(counts) else None
        group = "" if count is None else group_of(count, shots)
        shown = "–" if accuracy is None else text.number(accuracy)
        full = 0 if accuracy is None else round(min(1.0, max(0.0, accuracy)) * room)
        lines.append(
            [
                (f"{label:>5}  ", "text"),
                (f"{'' if count is None else count:>10}  {group:<6}  ", "quiet"),
                ("█" * full, "bar"),
                ("·" * (room - full), "rail"),
                (f"  {shown:>6}", "text"),
            ]
        )
    return lines


def group_of(count: int, shots: Sequence[int]) -> str:
    """Return whether a class of so many training examples is few-, medium- or many-shot."""
    if count < shots[0]:
        return "few"
    return "many" if count > shots[1] else "medium"
