"""The table of runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType

from imbtui import text
from imbtui.files import printable
from imbtui.tui import rows as say
from imbtui.tui.messages import Row
from imbtui.tui.widgets.table import MEASURED, Column, Table, cell


def _value(value: float | None) -> str:
    return "–" if value is None else text.number(value)


COLUMNS: tuple[Column, ...] = (
    Column("id", "id", 6, lambda r: printable(r["id"])[:6], lambda r: r["id"], "table--quiet", 110),
    Column("state", "state", 8, lambda r: r["state"], lambda r: say.STATES.index(r["state"])),
    Column("name", "name", 0, say.name, lambda r: say.name(r).lower(), least=10),
    Column(
        "study",
        "study",
        0,
        lambda r: printable(r.get("study", "")),
        lambda r: r.get("study", ""),
        "table--quiet",
        64,
    ),
    Column("seed", "seed", 4, lambda r: str(r.get("seed", "")), lambda r: r.get("seed"), right=True),
    Column(
        "progress",
        "progress",
        0,
        say.situation,
        say.share,
        "table--quiet",
        descends=True,
        least=18,
        fills=True,
    ),
    Column(
        "last",
        "bal.acc",
        7,
        lambda r: _value(say.last(r)),
        say.last,
        right=True,
        descends=True,
    ),
    Column(
        "best", "at best", 7, lambda r: _value(say.best(r)), say.best, needs=100, right=True, descends=True
    ),
    Column(
        "age",
        "age",
        6,
        lambda r: text.ago(r.get("created", "")),
        lambda r: r.get("order"),
        "table--quiet",
        right=True,
        descends=True,
    ),
)


class RunsTable(Table):
    """Runs as lines, sorted by a column."""

    DEFAULT_CSS = """
    RunsTable > .runs-table--queued { color: $text-muted; }
    RunsTable > .runs-table--running { color: $text-primary; text-style: bold; }
    RunsTable > .runs-table--finished { color: $text-success; }
    RunsTable > .runs-table--stopped { color: $text-warning; }
    RunsTable > .runs-table--failed { color: $text-error; text-style: bold; }
    RunsTable > .runs-table--crashed { color: $text-error; text-style: bold; }
    RunsTable > .runs-table--trouble { color: $text-error; }
    RunsTable > .runs-table--rail { color: $text-muted; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "runs-table--trouble",
        "runs-table--rail",
        *(f"runs-table--{state}" for state in say.STATES),
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "open", id="runs.open", tooltip="Open the selected run."),
        Binding(
            "space",
            "mark",
            "mark",
            id="runs.mark",
            tooltip="Mark or unmark: stop, resume and delete take all marked.",
        ),
        Binding("s", "sort", "sort", id="runs.sort", tooltip="Sort by the next column."),
        Binding("S", "turn", "reverse", show=False, id="runs.turn", tooltip="Reverse the order."),
    ]

    def __init__(self, columns: Sequence[Column] = COLUMNS, *, id: str | None = None) -> None:
        super().__init__(columns, id=id)
        self.sort_key = "age"
        self._has_best = False

    # What it shows

    def measure(self) -> None:
        super().measure()
        self._has_best = any(row.get("best") for row in self.rows[:MEASURED])

    def shown_columns(self, width: int) -> list[Column]:
        return [c for c in super().shown_columns(width) if c.key != "best" or self._has_best]

    def arranged(self, rows: Iterable[Row]) -> list[Row]:
        if self.sort_key == "age" and self.descending:
            return list(rows)  # as they come
        column = next(c for c in self.columns if c.key == self.sort_key)
        have: list[Row] = []
        lack: list[Row] = []
        for row in rows:
            (lack if column.order(row) is None else have).append(row)
        # Equal keys stay newest first, as the rows come.
        have.sort(key=column.order, reverse=self.descending)
        return have + lack

    # Keys

    def action_sort(self) -> None:
        keys = [column.key for column, _ in self._layout()]
        following = keys[(keys.index(self.sort_key) + 1) % len(keys)] if self.sort_key in keys else keys[0]
        column = next(c for c in self.columns if c.key == following)
        self.sort_by(column.key, descending=column.descends)

    def action_turn(self) -> None:
        self.sort_by(self.sort_key, descending=not self.descending)

    def sort_by(self, key: str, *, descending: bool) -> None:
        """Sort by a column."""
        self.sort_key, self.descending = key, descending
        self.show(self.rows)

    def heading_clicked(self, column: Column | None) -> None:
        if column is not None:
            again = column.key == self.sort_key
            self.sort_by(column.key, descending=not self.descending if again else column.descends)

    # Lines

    def cells(self, row: Row, column: Column, width: int, style: Callable[[str], Style]) -> list[Segment]:
        if column.key == "state":
            return [Segment(cell(row["state"], width), style(f"runs-table--{row['state']}"))]
        if column.key == "progress":
            return self._progress(row, width, style)
        return super().cells(row, column, width, style)

    def _progress(self, row: Row, cells: int, style: Callable[[str], Style]) -> list[Segment]:
        share = say.share(row)
        if share is None:
            trouble = row["state"] in ("failed", "crashed")
            name = "runs-table--trouble" if trouble else "table--quiet"
            return [Segment(cell(say.situation(row), cells), style(name))]
        percent = f" {int(100 * share):3d} %"
        words = f"  {say.epochs(row)}"
        bar = min(20, cells - len(percent))
        if cells - len(percent) - cell_len(words) >= 8:
            bar = min(20, cells - len(percent) - cell_len(words))
        else:
            words = ""
        full = round(share * bar)
        rest = cells - bar - len(percent)
        return [
            Segment("━" * full, style("runs-table--running")),
            Segment("┄" * (bar - full), style("runs-table--rail")),
            Segment(percent, style("table--text")),
            Segment(cell(words, rest), style("table--quiet")),
        ]
