"""The table of runs, drawn line by line: only lines on the screen are ever formatted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from imbtui import text
from imbtui.files import printable
from imbtui.tui import rows as say
from imbtui.tui.messages import Row

GAP = 2
MARK = 3  # columns before the first cell: the mark, and the cursor's edge


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        key: its name for sorting.
        title: its heading.
        width: cells; 0: what the others leave over.
        show: its text for a row.
        order: its sort key for a row; rows without a value come last whichever way.
        style: component class of its text.
        needs: table width from which it is shown.
        right: align to the right.
        descends: the first sort is largest first.
    """

    key: str
    title: str
    width: int
    show: Callable[[Row], str]
    order: Callable[[Row], Any]
    style: str = "runs-table--text"
    needs: int = 0
    right: bool = False
    descends: bool = False


def _value(value: float | None) -> str:
    return "–" if value is None else text.number(value)


COLUMNS: tuple[Column, ...] = (
    Column("id", "id", 6, lambda r: printable(r["id"])[:6], lambda r: r["id"], "runs-table--quiet", 110),
    Column("state", "state", 8, lambda r: r["state"], lambda r: say.STATES.index(r["state"])),
    Column("name", "name", 0, say.name, lambda r: say.name(r).lower()),
    Column(
        "study",
        "study",
        0,
        lambda r: printable(r.get("study", "")),
        lambda r: r.get("study", ""),
        "runs-table--quiet",
        64,
    ),
    Column("seed", "seed", 4, lambda r: str(r.get("seed", "")), lambda r: r.get("seed"), right=True),
    Column("progress", "progress", 0, say.situation, say.share, "runs-table--quiet", descends=True),
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
        "runs-table--quiet",
        right=True,
        descends=True,
    ),
)
# Least widths. What is left over goes to name and study, up to what their contents need, then to progress.
_LEAST: Mapping[str, int] = {"progress": 18, "name": 10, "study": 8}
_MEASURED = 400  # rows that say how wide contents are


class RunsTable(ScrollView, can_focus=True):
    """Runs as lines. Shows what it is given, sorted; keeps its cursor on the same run and its marks."""

    DEFAULT_CSS = """
    RunsTable {
        height: 1fr;
        scrollbar-size-vertical: 1;
        overflow-x: hidden;
    }
    RunsTable > .runs-table--heading { color: $text-muted; text-style: bold; background: $surface; }
    RunsTable > .runs-table--sorted { color: $text-primary; text-style: bold; background: $surface; }
    RunsTable > .runs-table--text { color: $foreground; }
    RunsTable > .runs-table--quiet { color: $text-muted; }
    RunsTable > .runs-table--cursor { background: $primary 18%; }
    RunsTable:focus > .runs-table--cursor { background: $primary 32%; }
    RunsTable > .runs-table--edge { color: $primary; text-style: bold; }
    RunsTable > .runs-table--mark { color: $text-accent; text-style: bold; }
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
        "runs-table--heading",
        "runs-table--sorted",
        "runs-table--text",
        "runs-table--quiet",
        "runs-table--cursor",
        "runs-table--edge",
        "runs-table--mark",
        "runs-table--trouble",
        "runs-table--rail",
        *(f"runs-table--{state}" for state in say.STATES),
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "open", id="runs.open", tooltip="Open the selected run."),
        Binding(
            "up,k",
            "move(-1)",
            "up",
            show=False,
            id="runs.up",
            tooltip="Select the run above.",
            key_display="↑ k",
        ),
        Binding(
            "down,j",
            "move(1)",
            "down",
            show=False,
            id="runs.down",
            tooltip="Select the run below.",
            key_display="↓ j",
        ),
        Binding("pageup", "page(-1)", "page up", show=False, id="runs.page_up", tooltip="One page up."),
        Binding(
            "pagedown", "page(1)", "page down", show=False, id="runs.page_down", tooltip="One page down."
        ),
        Binding("home,g", "end(0)", "first", show=False, id="runs.first", tooltip="Select the first run."),
        Binding("end,G", "end(-1)", "last", show=False, id="runs.last", tooltip="Select the last run."),
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

    class Highlighted(Message):
        """The cursor stands on another run, or on none."""

        def __init__(self, row: Row | None) -> None:
            super().__init__()
            self.row = row

    class Opened(Message):
        """A run was chosen."""

        def __init__(self, row: Row) -> None:
            super().__init__()
            self.row = row

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.rows: list[Row] = []
        self.marks: set[str] = set()
        self.sort_key = "age"
        self.descending = True
        self._at: dict[str, int] = {}
        self._cursor = 0
        self._highlighted: str | None = None
        self._has_best = False
        self._needed = {"name": 0, "study": 0}

    # What it shows

    @property
    def row(self) -> Row | None:
        """The run under the cursor."""
        return self.rows[self._cursor] if self.rows else None

    @property
    def chosen(self) -> list[Row]:
        """The marked runs; without marks the one under the cursor."""
        marked = [row for row in self.rows if row["id"] in self.marks]
        return marked or ([self.row] if self.row else [])

    def show(self, rows: Iterable[Row]) -> None:
        """Show these runs; the cursor stays on its run where that is still there."""
        before = self.row
        offset = self._cursor - self.scroll_offset.y
        self.rows = self._sorted(rows)
        self._at = {row["id"]: position for position, row in enumerate(self.rows)}
        stays = before is not None and before["id"] in self._at
        self._cursor = (
            self._at[before["id"]] if stays and before else min(self._cursor, max(0, len(self.rows) - 1))
        )
        self._measure()
        self._fit()
        if stays:
            self.scroll_to(y=self._cursor - offset, animate=False)
        self._keep_in_sight()
        self.refresh()
        self._tell()

    def update(self, rows: Mapping[str, Row]) -> None:
        """Replace single runs; their order stays until the next `show`."""
        for run_id, row in rows.items():
            position = self._at.get(run_id)
            if position is not None:
                self.rows[position] = row
                self._refresh_row(position)

    def unmark(self) -> None:
        """Take away all marks."""
        self.marks.clear()
        self.refresh()

    def _measure(self) -> None:
        measured = self.rows[:_MEASURED]
        self._has_best = any(row.get("best") for row in measured)
        self._needed = {
            "name": max((cell_len(say.name(row)) for row in measured), default=0),
            "study": max((cell_len(row.get("study", "")) for row in measured), default=0),
        }

    def _sorted(self, rows: Iterable[Row]) -> list[Row]:
        if self.sort_key == "age" and self.descending:
            return list(rows)  # as they come
        column = next(c for c in COLUMNS if c.key == self.sort_key)
        have: list[Row] = []
        lack: list[Row] = []
        for row in rows:
            (lack if column.order(row) is None else have).append(row)
        # Equal keys stay newest first, as the rows come.
        have.sort(key=column.order, reverse=self.descending)
        return have + lack

    # Keys

    def action_move(self, by: int) -> None:
        self._go(self._cursor + by)

    def action_page(self, by: int) -> None:
        self._go(self._cursor + by * max(1, self._visible - 1))

    def action_end(self, position: int) -> None:
        self._go(position if position >= 0 else len(self.rows) - 1)

    def action_open(self) -> None:
        if self.row:
            self.post_message(self.Opened(self.row))

    def action_mark(self) -> None:
        if self.row is None:
            return
        self.marks.symmetric_difference_update({self.row["id"]})
        self._refresh_row(self._cursor)
        self._go(self._cursor + 1)
        self._tell(always=True)

    def action_sort(self) -> None:
        keys = [column.key for column, _ in self._layout()]
        following = keys[(keys.index(self.sort_key) + 1) % len(keys)] if self.sort_key in keys else keys[0]
        column = next(c for c in COLUMNS if c.key == following)
        self.sort_by(column.key, descending=column.descends)

    def action_turn(self) -> None:
        self.sort_by(self.sort_key, descending=not self.descending)

    def sort_by(self, key: str, *, descending: bool) -> None:
        """Sort by a column."""
        self.sort_key, self.descending = key, descending
        self.show(self.rows)

    def on_click(self, event: events.Click) -> None:
        line = event.y
        if line == 0:
            key = self._column_at(event.x)
            if key is not None:
                column = next(c for c in COLUMNS if c.key == key)
                self.sort_by(key, descending=not self.descending if key == self.sort_key else column.descends)
            return
        position = line - 1 + self.scroll_offset.y
        if position < len(self.rows):
            self._go(position)
            if event.chain == 2:
                self.action_open()

    def _go(self, position: int) -> None:
        position = max(0, min(len(self.rows) - 1, position))
        if not self.rows or position == self._cursor:
            return
        before, self._cursor = self._cursor, position
        self._keep_in_sight()
        self._refresh_row(before)
        self._refresh_row(position)
        self._tell()

    def _tell(self, *, always: bool = False) -> None:
        now = self.row["id"] if self.row else None
        if always or now != self._highlighted:
            self._highlighted = now
            self.post_message(self.Highlighted(self.row))

    # Lines

    @property
    def _visible(self) -> int:
        return max(1, self.scrollable_content_region.height - 1)

    def _fit(self) -> None:
        # One line more than there are runs: the heading stands on the first line of the screen.
        self.virtual_size = Size(self.size.width, len(self.rows) + 1)

    def _keep_in_sight(self) -> None:
        top = self.scroll_offset.y
        if self._cursor < top:
            self.scroll_to(y=self._cursor, animate=False)
        elif self._cursor >= top + self._visible:
            self.scroll_to(y=self._cursor - self._visible + 1, animate=False)

    def on_resize(self) -> None:
        self._fit()
        self._keep_in_sight()

    def _refresh_row(self, position: int) -> None:
        line = position - self.scroll_offset.y + 1
        if 1 <= line < self.size.height:
            self.refresh(Region(0, line, self.size.width, 1))

    def _layout(self) -> list[tuple[Column, int]]:
        """Return the columns that fit the width, with the width of each."""
        width = self.scrollable_content_region.width - 1
        shown = [c for c in COLUMNS if width >= c.needs and (c.key != "best" or self._has_best)]
        left = width - MARK - sum(c.width for c in shown) - GAP * (len(shown) - 1)
        widths = {c.key: _LEAST[c.key] for c in shown if not c.width}
        left -= sum(widths.values())
        for key in widths:
            if key != "progress":
                more = max(0, min(left, self._needed[key] - widths[key]))
                widths[key] += more
                left -= more
        widths["progress"] += left
        return [(column, column.width or max(4, widths[column.key])) for column in shown]

    def _column_at(self, x: int) -> str | None:
        start = MARK
        for column, width in self._layout():
            if start <= x < start + width + GAP:
                return column.key
            start += width + GAP
        return None

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y == 0:
            return self._heading(width)
        position = y - 1 + self.scroll_offset.y
        if position >= len(self.rows):
            return Strip.blank(width, self.rich_style)
        return self._line(position, width)

    def _heading(self, width: int) -> Strip:
        plain = self.get_component_rich_style("runs-table--heading")
        sorted_by = self.get_component_rich_style("runs-table--sorted")
        segments = [Segment(" " * MARK, plain)]
        for number, (column, cells) in enumerate(self._layout()):
            if number:
                segments.append(Segment(" " * GAP, plain))
            title, style = column.title, plain
            if column.key == self.sort_key:
                title, style = f"{title}{'▾' if self.descending else '▴'}", sorted_by
                cells_over = cell_len(title) - cells
                if cells_over > 0 and column.right:
                    # The arrow of a full right-aligned heading hangs into the gap before it.
                    segments[-1] = Segment(" " * (GAP - cells_over), plain)
                    cells += cells_over
            segments.append(Segment(_cell(title, cells, column.right), style))
        return Strip(segments).crop_extend(0, width, plain)

    def _line(self, position: int, width: int) -> Strip:
        row = self.rows[position]
        cursor = position == self._cursor
        ground = self.get_component_rich_style("runs-table--cursor" if cursor else "runs-table--text")
        back = Style(bgcolor=ground.bgcolor)

        def style(component: str) -> Style:
            return self.get_component_rich_style(component) + back

        marked = row["id"] in self.marks
        segments = [
            Segment("▌" if cursor else " ", style("runs-table--edge")),
            Segment("● " if marked else "  ", style("runs-table--mark")),
        ]
        for number, (column, cells) in enumerate(self._layout()):
            if number:
                segments.append(Segment(" " * GAP, back))
            if column.key == "state":
                segments.append(Segment(_cell(row["state"], cells), style(f"runs-table--{row['state']}")))
            elif column.key == "progress":
                segments += self._progress(row, cells, style)
            else:
                segments.append(Segment(_cell(column.show(row), cells, column.right), style(column.style)))
        return Strip(segments).crop_extend(0, width, back)

    def _progress(self, row: Row, cells: int, style: Callable[[str], Style]) -> list[Segment]:
        share = say.share(row)
        if share is None:
            trouble = row["state"] in ("failed", "crashed")
            name = "runs-table--trouble" if trouble else "runs-table--quiet"
            return [Segment(_cell(say.situation(row), cells), style(name))]
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
            Segment(percent, style("runs-table--text")),
            Segment(_cell(words, rest), style("runs-table--quiet")),
        ]


def _cell(content: str, width: int, right: bool = False) -> str:
    """Return text that takes exactly `width` cells; what is cut off shows as an ellipsis."""
    length = cell_len(content)
    if length > width:
        return set_cell_size(content, width - 1) + "…" if width > 1 else set_cell_size(content, width)
    return " " * (width - length) + content if right else content + " " * (width - length)


__all__: Sequence[str] = ("COLUMNS", "Column", "RunsTable")
