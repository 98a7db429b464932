"""A table with a cursor, drawn line by line: only lines on the screen are ever formatted, and each once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
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

from imbtui.tui.messages import Row
from imbtui.tui.places import Places
from imbtui.tui.selection import Selection
from imbtui.tui.theme import selected
from imbtui.tui.widgets.kept import Kept

GAP = 2
MARK = 3  # columns before the first cell: the mark, and the cursor's edge
MEASURED = 120  # rows that say how wide contents are
FRESH = 10.0  # seconds after which a line that has not changed is formatted again: it may tell an age


Line = Sequence[tuple[str, str]]
"""A line as pieces, each a text and the component class of its style."""


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        key: its name for sorting.
        title: its heading.
        width: cells; 0: as wide as its contents, while there is room.
        show: its text for a row.
        order: its sort key for a row; rows without a value come last whichever way.
        rank: what different keys are sorted by; None: the keys themselves.
        style: component class of its text.
        needs: table width from which it is shown.
        right: align to the right.
        descends: the first sort is largest first.
        least: of `width = 0`: cells it has at least.
        fills: of `width = 0`: it takes what all others leave over.
    """

    key: str
    title: str
    width: int
    show: Callable[[Row], str]
    order: Callable[[Row], Any] = lambda row: None
    rank: Callable[[Any], Any] | None = field(default=None, kw_only=True)
    style: str = "table--text"
    needs: int = 0
    right: bool = False
    descends: bool = False
    least: int = 8
    fills: bool = False


class Table(ScrollView, Kept, can_focus=True):
    """Rows as lines, in the order given; each has an `id`. Keeps its cursor on the same row, and its marks.

    Args:
        columns: what it shows of a row.
    """

    DEFAULT_CSS = """
    Table {
        height: 1fr;
        overflow: hidden;
    }
    Table > .table--heading { color: $text-muted; text-style: bold; background: $surface; }
    Table > .table--sorted { color: $text-primary; text-style: bold; background: $surface; }
    Table > .table--text { color: $foreground; }
    Table > .table--quiet { color: $text-muted; }
    Table > .table--strong { color: $foreground; text-style: bold; }
    Table > .table--good { color: $text-success; }
    Table > .table--warning { color: $text-warning; }
    Table > .table--bad { color: $text-error; text-style: bold; }
    Table > .table--accent { color: $text-primary; text-style: bold; }
    Table > .table--cursor { background: $primary 18%; }
    Table:focus > .table--cursor { background: $primary 32%; }
    Table > .table--edge { color: $primary; text-style: bold; }
    Table > .table--mark { color: $text-accent; text-style: bold; }
    Table > .table--bar { color: $scrollbar; }
    Table > .table--bar-held { color: $scrollbar-active; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"table--{name}"
        for name in (
            *("heading", "sorted", "cursor", "edge", "mark", "bar", "bar-held"),
            *("text", "quiet", "strong", "good", "warning", "bad", "accent"),
        )
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "open", id="table.open", tooltip="Open the selected line."),
        Binding(
            "up,k",
            "move(-1)",
            "up",
            show=False,
            id="table.up",
            tooltip="Select the line above.",
            key_display="↑ k",
        ),
        Binding(
            "down,j",
            "move(1)",
            "down",
            show=False,
            id="table.down",
            tooltip="Select the line below.",
            key_display="↓ j",
        ),
        Binding("pageup", "page(-1)", "page up", show=False, id="table.page_up", tooltip="One page up."),
        Binding(
            "pagedown", "page(1)", "page down", show=False, id="table.page_down", tooltip="One page down."
        ),
        Binding("home,g", "end(0)", "first", show=False, id="table.top", tooltip="Select the first line."),
        Binding("end,G", "end(-1)", "last", show=False, id="table.end", tooltip="Select the last line."),
    ]

    class Highlighted(Message):
        """The cursor stands on another row, or on none."""

        def __init__(self, row: Row | None) -> None:
            super().__init__()
            self.row = row

    class Opened(Message):
        """A row was chosen."""

        def __init__(self, row: Row) -> None:
            super().__init__()
            self.row = row

    def __init__(self, columns: Sequence[Column], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.columns = columns
        self.rows: list[Row] | Selection = []
        self.marks: set[str] = set()
        self.sort_key = ""
        self.descending = True
        self._places = Places(self.rows)
        self._cursor = 0
        self._highlighted: str | None = None
        self._needed: dict[str, int] = {}
        self._drawn: list[tuple[Column, int]] = []
        self._styles: dict[bool, _Styles] = {}
        # Lines as they were drawn, by row. Formatting one takes 0.1 ms, and a key moves the cursor on two of
        # the forty on the screen.
        self._strips: dict[str, tuple[Row, bool, bool, Strip]] = {}
        self._heading: tuple[str, bool, Strip] | None = None
        self._above: list[Strip] = []
        self._nothing: Sequence[Line] = ()
        self._handle = range(0)
        self._bar_held = False
        self._drawn_as: tuple[Any, ...] = ()

    # What it shows

    @property
    def row(self) -> Row | None:
        """The row under the cursor."""
        return self.rows[self._cursor] if self.rows else None

    @property
    def chosen(self) -> list[Row]:
        """The marked rows; without marks the one under the cursor."""
        marked = [row for row in self.rows if row["id"] in self.marks]
        return marked or ([self.row] if self.row else [])

    def show(self, rows: Iterable[Row]) -> None:
        """Show these rows; the cursor stays on its row where that is still there."""
        before = self.row
        offset = self._cursor - self.scroll_offset.y
        had = bool(self.rows)
        self.rows = self.arranged(rows)
        if bool(self.rows) is not had:
            self.refresh_bindings()  # on an empty table fewer keys do something
        self._places = Places(self.rows)
        place = None if before is None else self.position(before["id"])
        stays = place is not None
        self._cursor = min(self._cursor, max(0, len(self.rows) - 1)) if place is None else place
        self.measure()
        self._fit()
        if stays:
            self.scroll_to(y=self._cursor - offset, animate=False)
        self._keep_in_sight()
        self.repaint()
        self._tell()

    def say_instead(self, lines: Sequence[Line]) -> None:
        """Say something in the middle as long as there are no rows.

        Args:
            lines: of pieces, each a text and the component class of its style.
        """
        if lines != self._nothing:
            self._nothing = lines
            if not self.rows:
                self.repaint()

    def position(self, row_id: str) -> int | None:
        """Return where a row is shown; None: it is not."""
        rows, near = self.rows, self._cursor
        if near < len(rows) and rows[near]["id"] == row_id:
            return near
        return self._places.get(row_id)

    def update(self, rows: Mapping[str, Row]) -> None:
        """Replace single rows; their order stays until the next `show`."""
        # Asked once: where a widget is and how far it is scrolled takes as long as to draw a line.
        size, top = self.size, self.scroll_offset.y
        changed = []
        for row_id, row in rows.items():
            position = self.position(row_id)
            if position is None:
                continue
            self.rows[position] = row
            line = position - top + self._heads
            if self._heads <= line < size.height and self._differs(position, size.width):
                changed.append(Region(0, line, size.width, 1))
        if changed:
            self.refresh(*changed)

    def select(self, row_id: str) -> None:
        """Put the cursor on a row."""
        position = self.position(row_id)
        if position is not None:
            self._go(position)

    def unmark(self) -> None:
        """Take away all marks."""
        self.marks.clear()
        self.repaint()

    def is_marked(self, row: Row) -> bool:
        """Whether a line shows a mark."""
        return row["id"] in self.marks

    def arranged(self, rows: Iterable[Row]) -> list[Row] | Selection:
        """Return rows in the order in which they are shown."""
        return list(rows)

    def measure(self) -> None:
        """Learn how wide the contents of columns without a width are."""
        measured = self.rows[:MEASURED]
        self._needed = {
            column.key: max((cell_len(column.show(row)) for row in measured), default=0)
            for column in self.columns
            if not column.width and not column.fills
        }

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

    def on_click(self, event: events.Click) -> None:
        if self._is_bar(event):
            return
        if event.y < self._heads:
            if event.y == self._heads - 1:
                self.heading_clicked(self._column_at(event.x))
            return
        position = event.y - self._heads + self.scroll_offset.y
        if position < len(self.rows):
            self._go(position)
            if event.chain == 2:
                self.action_open()

    def heading_clicked(self, column: Column | None) -> None:
        """A column's heading was clicked."""

    # The scroll bar

    # One of Textual's is a widget of its own. Drawing it takes 1.2 ms a page, and when it comes or goes the
    # whole screen is laid out anew.

    @property
    def allow_vertical_scroll(self) -> bool:
        return True

    @property
    def _has_bar(self) -> bool:
        return len(self.rows) > self._visible

    def _bar(self) -> range:
        """Return the lines of the screen where the bar's handle is."""
        room, rows = self.size.height - self._heads, len(self.rows)
        length = max(1, room * room // rows)
        top = self._heads + round((room - length) * self.scroll_offset.y / max(1, rows - room))
        return range(top, top + length)

    def _is_bar(self, event: events.MouseEvent) -> bool:
        return self._has_bar and event.x == self.size.width - 1 and event.y >= self._heads

    def on_mouse_down(self, event: events.MouseDown) -> None:
        if self._is_bar(event):
            self._bar_held = True
            self.capture_mouse()
            self._drag(event.y)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self._bar_held:
            self._drag(event.y)

    def on_mouse_up(self) -> None:
        if self._bar_held:
            self._bar_held = False
            self.release_mouse()
            self.repaint()

    def _drag(self, y: int) -> None:
        """Scroll so that the middle of the bar's handle is on a line of the screen."""
        room, length = self.size.height - self._heads, len(self._bar())
        share = (y - self._heads - length // 2) / max(1, room - length)
        self.scroll_to(y=round(min(1.0, max(0.0, share)) * (len(self.rows) - room)), animate=False)
        self.repaint()

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
    def _heads(self) -> int:
        """How many lines stand still above the rows."""
        return len(self._above) + 1

    @property
    def _visible(self) -> int:
        return max(1, self.size.height - self._heads)

    def stand_above(self, lines: list[Strip]) -> None:
        """Let lines stand above the heading.

        A widget of its own that comes and goes has Textual lay out the whole screen: 15 ms a key.
        """
        if len(lines) == len(self._above):
            changed = [
                Region(0, y, self.size.width, 1)
                for y, (before, line) in enumerate(zip(self._above, lines, strict=True))
                if before != line
            ]
            self._above = lines
            if changed:
                self.refresh(*changed)
        else:
            self._above = lines
            self._fit()
            self._keep_in_sight()
            self.repaint()

    def _fit(self) -> None:
        # More lines than there are rows: those above them are always on the screen.
        size = Size(self.size.width, len(self.rows) + self._heads)
        if self.styles.auto_dimensions:
            self.virtual_size = size
        elif size != self.virtual_size:
            # Set in the usual way it would lay the whole screen out anew, at every key of a filter.
            self.set_reactive(Table.virtual_size, size)
            self._scroll_update(size)

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
        line = position - self.scroll_offset.y + self._heads
        if self._heads <= line < self.size.height:
            self.refresh(Region(0, line, self.size.width, 1))

    def shown_columns(self, width: int) -> list[Column]:
        """Return the columns that are shown in a table of so many cells."""
        return [column for column in self.columns if width >= column.needs]

    def _layout(self) -> list[tuple[Column, int]]:
        """Return the columns that fit the width, with the width of each."""
        width = self.size.width - 1  # the last one is the scroll bar's
        shown = self.shown_columns(width)
        left = width - MARK - sum(c.width for c in shown) - GAP * (len(shown) - 1)
        widths = {c.key: c.least for c in shown if not c.width}
        left -= sum(widths.values())
        lack = {key: self._needed[key] - widths[key] for key in widths if key in self._needed}
        # What needs little gets it; what needs much shares the rest, so that no column starves the others.
        for served, key in enumerate(sorted(lack, key=lack.__getitem__)):
            more = max(0, min(lack[key], left // (len(lack) - served)))
            widths[key] += more
            left -= more
        for column in shown:
            if column.fills:
                widths[column.key] += left
        return [(column, column.width or max(4, widths[column.key])) for column in shown]

    def _column_at(self, x: int) -> Column | None:
        start = MARK
        for column, width in self._layout():
            if start <= x < start + width + GAP:
                return column
            start += width + GAP
        return None

    def forget(self) -> None:
        super().forget()
        self._forget_lines()
        self._styles.clear()

    def _forget_lines(self) -> None:
        self._strips.clear()
        self._heading = None

    def draw_lines(self, crop: Region) -> list[Strip]:
        self._prepare()
        return super().draw_lines(crop)

    def _prepare(self) -> None:
        """Forget drawn lines when columns or widths have changed, or when they have stood for long."""
        self._drawn = self._layout()
        self._handle = self._bar() if self._has_bar else range(0)
        columns = [(column.key, column.title, width) for column, width in self._drawn]
        drawn_as = (self.size.width, columns, time.monotonic() // FRESH)
        if drawn_as != self._drawn_as:
            self._drawn_as = drawn_as
            self._forget_lines()

    def _differs(self, position: int, width: int) -> bool:
        """Whether a line looks different from how it was drawn last."""
        row = self.rows[position]
        known = self._strips.get(row["id"])
        if known is None:
            return True
        cursor, marked = position == self._cursor, self.is_marked(row)
        strip = self._line(row, width, cursor=cursor, marked=marked)
        if known[1:] == (cursor, marked, strip):
            strip = known[3]
        self._strips[row["id"]] = (row, cursor, marked, strip)
        return strip is not known[3]

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y < len(self._above):
            return self._above[y]
        if y < self._heads:
            if self._heading is None or self._heading[:2] != (self.sort_key, self.descending):
                self._heading = (self.sort_key, self.descending, self._draw_heading(width))
            return self._heading[2]
        if not self.rows:
            return self._instead(y)
        position = y - self._heads + self.scroll_offset.y
        if position >= len(self.rows):
            return Strip.blank(width, self._styles_of(cursor=False).ground)
        row = self.rows[position]
        cursor, marked = position == self._cursor, self.is_marked(row)
        known = self._strips.get(row["id"])
        if known is None or known[0] is not row or known[1] != cursor or known[2] != marked:
            strip = self._line(row, width, cursor=cursor, marked=marked)
            self._strips[row["id"]] = known = (row, cursor, marked, strip)
        if y not in self._handle:
            return known[3]
        bar = Segment("▐", self._styles_of(cursor=False)[f"table--bar{'-held' if self._bar_held else ''}"])
        return Strip([*known[3].crop(0, width - 1), bar], width)

    def _instead(self, y: int) -> Strip:
        """Return a line of what is said instead of rows."""
        width, height, styles = *self.size, self._styles_of(cursor=False)
        number = y - self._heads - max(0, (height - self._heads - len(self._nothing)) // 2)
        if not 0 <= number < len(self._nothing):
            return Strip.blank(width, styles.ground)
        pieces = [Segment(text, styles[style]) for text, style in self._nothing[number]]
        before = max(0, (width - sum(piece.cell_length for piece in pieces)) // 2)
        return Strip([Segment(" " * before, styles.ground), *pieces]).crop_extend(0, width, styles.ground)

    def _draw_heading(self, width: int) -> Strip:
        plain = self.get_component_rich_style("table--heading")
        sorted_by = self.get_component_rich_style("table--sorted")
        segments = [Segment(" " * MARK, plain)]
        for number, (column, cells) in enumerate(self._drawn):
            if number:
                segments.append(Segment(" " * GAP, plain))
            title, style = column.title, plain
            if column.key == self.sort_key:
                title, style = f"{title}{'▾' if self.descending else '▴'}", sorted_by
                cells_over = cell_len(title) - cells
                if 0 < cells_over <= GAP and number:
                    # The arrow of a full heading hangs into the gap before it, or moves its title there.
                    segments[-1] = Segment(" " * (GAP - cells_over), plain)
                    cells += cells_over
            segments.append(Segment(cell(title, cells, column.right), style))
        return Strip(segments).crop_extend(0, width, plain)

    def _styles_of(self, *, cursor: bool) -> _Styles:
        if cursor not in self._styles:
            ground = self.get_component_rich_style("table--cursor" if cursor else "table--text")
            back = Style(bgcolor=ground.bgcolor)
            self._styles[cursor] = _Styles(
                lambda style: selected(style, ground) if cursor else style + back,
                self.get_component_rich_style,
            )
        return self._styles[cursor]

    def _line(self, row: Row, width: int, *, cursor: bool, marked: bool) -> Strip:
        styles = self._styles_of(cursor=cursor)
        style = styles.__getitem__
        segments = [
            Segment("▌" if cursor else " ", style("table--edge")),
            Segment("● " if marked else "  ", style("table--mark")),
        ]
        heading = self.heading_of(row, style)
        if heading is not None:
            return Strip([*segments, *heading]).crop_extend(0, width, styles.ground)
        gap = Segment(" " * GAP, styles.ground)
        filled = MARK - GAP
        for column, cells in self._drawn:
            if filled > MARK:
                segments.append(gap)
            segments += self.cells(row, column, cells, style)
            filled += GAP + cells
        if filled < width:
            segments.append(Segment(" " * (width - filled), styles.ground))
        return Strip(segments, max(filled, width)).crop(0, width)

    def heading_of(self, row: Row, style: Callable[[str], Style]) -> list[Segment] | None:
        """Return the whole of a line that has no columns; None: it has."""
        return None

    def cells(self, row: Row, column: Column, width: int, style: Callable[[str], Style]) -> list[Segment]:
        """Return a cell, exactly `width` cells wide."""
        return [Segment(cell(column.show(row), width, column.right), style(column.style))]


class _Styles(dict[str, Style]):
    """Styles of the parts of a line by component class, on the line's ground; each is asked for once."""

    def __init__(self, lay: Callable[[Style], Style], look_up: Callable[[str], Style]) -> None:
        self._lay, self._look_up = lay, look_up
        self.ground = lay(Style())

    def __missing__(self, component: str) -> Style:
        self[component] = style = self._lay(self._look_up(component))
        return style


def cell(content: str, width: int, right: bool = False) -> str:
    """Return text that takes exactly `width` cells; what is cut off shows as an ellipsis."""
    length = cell_len(content)
    if length > width:
        return set_cell_size(content, width - 1) + "…" if width > 1 else set_cell_size(content, width)
    return " " * (width - length) + content if right else content + " " * (width - length)
