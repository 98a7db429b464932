"""Accuracy of each class as a bar, beside the number of its training examples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal

from imbtui import text
from imbtui.tui import sheet
from imbtui.tui.artefacts import Content
from imbtui.tui.curves import Curves
from imbtui.tui.widgets.heat_map import HeatMap
from imbtui.tui.widgets.lines import Line, Lines, bar

if TYPE_CHECKING:
    from imbtui.tui.app import ImbtuiApp

SPLITS = ("test", "val", "train")
LONGEST_BAR = 60  # cells
BOTH = 124  # cells from which bars and matrix stand side by side
_GROUPS = (("many-shot", "many_accuracy"), ("medium-shot", "medium_accuracy"), ("few-shot", "few_accuracy"))


class ClassBars(Lines):
    """Lines that are drawn anew for another width: beside the matrix, or without it.

    Args:
        draw: draws them.
    """

    def __init__(self, draw: Callable[[], None], **arguments: Any) -> None:
        super().__init__(**arguments)
        self._draw_bars = draw

    def on_resize(self) -> None:
        self._draw_bars()


class ClassesPane(Horizontal):
    """Bars, and the confusion matrix beside them or instead of them; keys change split and view."""

    app: ImbtuiApp

    TITLE = "Classes"
    DEFAULT_CSS = """
    ClassesPane { padding: 0 1; }
    ClassesPane > Lines { width: 1fr; }
    ClassesPane > HeatMap { display: none; width: 1fr; }
    ClassesPane.-both > HeatMap, ClassesPane.-matrix > HeatMap { display: block; }
    ClassesPane.-both > Lines { display: block; width: 1fr; padding-right: 2; }
    ClassesPane.-matrix > Lines { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "split", "split", id="classes.split", tooltip="Test, validation or training data."),
        Binding("v", "view", "confusion", id="classes.view", tooltip="Bars or confusion matrix."),
        Binding(
            "w", "write", "copy", show=False, id="classes.write", tooltip="Copy accuracies or matrix as CSV."
        ),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._curves: Curves | None = None
        self._counts: Sequence[int] = ()
        self._shots: Sequence[int] = (20, 100)
        self._confusion = Content()
        self._split = ""

    def compose(self) -> ComposeResult:
        yield ClassBars(self._draw, id="class-bars")
        yield HeatMap(id="confusion")

    def show_run(self, curves: Curves | None, counts: Sequence[int], shots: Sequence[int]) -> None:
        """Show a run.

        Args:
            curves: its metrics.
            counts: training examples of each class; empty while they are not known.
            shots: below the first a class is few-shot, above the second many-shot.
        """
        self._curves, self._counts, self._shots = curves, counts, shots
        self._draw()

    def show_confusion(self, confusion: Content) -> None:
        """Show the confusion matrices that the run keeps."""
        self._confusion = confusion
        self._draw()

    def action_split(self) -> None:
        splits = self._splits
        if splits:
            at = splits.index(self._split) if self._split in splits else -1
            self._split = splits[(at + 1) % len(splits)]
            self._draw()

    def action_view(self) -> None:
        self.toggle_class("-matrix")
        self.screen.set_focus(self.query_one(HeatMap if self.has_class("-matrix") else Lines))

    def action_write(self) -> None:
        matrix = self._confusion.matrices.get(self._split)
        if matrix and self.query_one(HeatMap).has_focus:
            self.app.copy(sheet.of_matrix(matrix), f"{self._split} confusion, as CSV,")
        elif self._curves is not None and self._splits:
            heading = ["class", "trained on", *(f"{split}/class_accuracy" for split in self._splits)]
            columns = [self._curves.lists[name] for name in heading[2:]]
            rows = zip_longest(range(max(map(len, columns))), self._counts, *columns)
            self.app.copy(sheet.csv_text(heading, rows), "accuracy of each class, as CSV,")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Where both are shown there is nothing to change."""
        return action != "view" or not self.has_class("-both")

    def on_resize(self, event: events.Resize) -> None:
        self.set_class(event.size.width >= BOTH, "-both")

    @property
    def _splits(self) -> list[str]:
        known = self._curves.lists if self._curves else {}
        return [split for split in SPLITS if f"{split}/class_accuracy" in known]

    def _draw(self) -> None:
        lines, splits = self.query_one(Lines), self._splits
        if not splits or self._curves is None:
            lines.show([[("no evaluation yet", "quiet")]])
            return
        if self._split not in splits:
            self._split = splits[0]
        accuracies = self._curves.lists[f"{self._split}/class_accuracy"]
        groups = [(label, self._curves.last.get(f"{self._split}/{metric}")) for label, metric in _GROUPS]
        head: Line = [
            (f"{self._split} accuracy", "strong"),
            *((f"   {label} {text.number(value)}", "quiet") for label, value in groups if value is not None),
        ]
        width = lines.scrollable_content_region.width
        lines.show([head, [("", "text")], *bars(accuracies, self._counts, self._shots, width)])
        matrix = self._confusion.matrices.get(self._split)
        self.query_one(HeatMap).show(
            f"{self._split} confusion, per cent of the true class" if matrix else "no confusion matrix yet",
            matrix or (),
            about=self._confusion.axes,
            shares=True,
        )


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
    room = max(10, min(LONGEST_BAR, width - 40))
    lines: list[Line] = [[(f"{'class':>5}  {'trained on':>10}  {'':<6}  accuracy", "quiet")]]
    for label, accuracy in enumerate(accuracies):
        count = counts[label] if label < len(counts) else None
        group = "" if count is None else group_of(count, shots)
        shown = "–" if accuracy is None else text.number(accuracy)
        share = 0.0 if accuracy is None else min(1.0, max(0.0, accuracy))
        lines.append(
            [
                (f"{label:>5}  ", "text"),
                (f"{'' if count is None else count:>10}  {group:<6}  ", "quiet"),
                *bar(share, room),
                (f"  {shown:>6}", "text"),
            ]
        )
    return lines


def group_of(count: int, shots: Sequence[int]) -> str:
    """Return whether a class of so many training examples is few-, medium- or many-shot."""
    if count < shots[0]:
        return "few"
    return "many" if count > shots[1] else "medium"
