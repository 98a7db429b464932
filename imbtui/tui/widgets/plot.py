"""One chart: a title line with the legend, and the lines of `plotting.braille`."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip

from imbtui import text
from imbtui.files import printable
from imbtui.plotting import braille
from imbtui.plotting.braille import Chart, Piece, Series
from imbtui.tui.widgets.kept import Kept

NOTHING = "no values yet"


class Plot(Kept):
    """Series over time. What is drawn is kept until data, scale or size change."""

    DEFAULT_CSS = """
    Plot { height: 1fr; width: 1fr; min-height: 4; }
    Plot > .plot--title { color: $foreground; text-style: bold; }
    Plot > .plot--axis { color: $foreground 30%; }
    Plot > .plot--label { color: $text-muted; }
    Plot > .plot--cursor { color: $text-accent; }
    Plot > .plot--series-0 { color: $text-primary; }
    Plot > .plot--series-1 { color: $text-warning; }
    Plot > .plot--series-2 { color: $text-success; }
    Plot > .plot--series-3 { color: $text-secondary; }
    Plot > .plot--band-0 { color: $text-primary 45%; }
    Plot > .plot--band-1 { color: $text-warning 45%; }
    Plot > .plot--band-2 { color: $text-success 45%; }
    Plot > .plot--band-3 { color: $text-secondary 45%; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "plot--title",
        "plot--axis",
        "plot--label",
        "plot--cursor",
        *(f"plot--{part}-{n}" for part in ("series", "band") for n in range(len(braille.PATTERNS))),
    }

    class Pointed(Message):
        """The mouse chose a place on the x axis."""

        def __init__(self, x: float) -> None:
            super().__init__()
            self.x = x

    class Wheeled(Message):
        """The mouse wheel turned, upwards by 1 or downwards by -1."""

        def __init__(self, by: int) -> None:
            super().__init__()
            self.by = by

    def __init__(self, *, id: str | None = None, keyed: bool = False) -> None:
        """Create an empty chart.

        Args:
            keyed: a legend for which the title's line has no room gets lines of its own below it.
        """
        super().__init__(id=id)
        self._keyed = keyed
        self._key: list[list[Piece]] = []
        self._title = ""
        self._unit = ""
        self._series: Sequence[Series] = ()
        self._log_y = False
        self._empty = NOTHING
        self._x_range: tuple[float, float] | None = None
        self._cursor: float | None = None
        self._zero = False
        self._chart: Chart | None = None
        self._drawn: tuple[object, ...] = ()

    def draw(
        self,
        title: str,
        series: Sequence[Series],
        *,
        unit: str = "",
        log_y: bool = False,
        empty: str = NOTHING,
        x_range: tuple[float, float] | None = None,
        cursor: float | None = None,
        zero: bool = False,
    ) -> None:
        """Draw other data.

        Args:
            title: what is measured.
            series: lines, at most as many as there are patterns.
            unit: of the x axis.
            log_y: logarithmic y axis.
            empty: what stands there when there is nothing to draw.
            x_range: the part to show; None: from 0 on all there is.
            cursor: where on the x axis values are read out; None: nowhere.
            zero: begin the y axis at 0.
        """
        # Lines of runs grow in place: it is their lengths that tell whether there is anything new.
        grown = [(id(part), len(part)) for one in series for part in (one.x, one.y, one.low, one.high)]
        told = [(one.label, one.pattern, one.mark) for one in series]
        drawn = (title, told, grown, unit, log_y, empty, x_range, cursor, zero)
        if drawn == self._drawn:
            return
        self._drawn = drawn
        self._zero = zero
        self._x_range, self._cursor = x_range, cursor
        self._empty = empty
        self._title, self._series = printable(title), series
        self._unit, self._log_y = unit, log_y
        self._chart = None
        self.repaint()

    def on_resize(self, event: events.Resize) -> None:
        self._chart = None
        self.repaint()  # it may have been painted in its new size with the chart of the old one

    @property
    def x_range(self) -> tuple[float, float]:
        """The part of the x axis that is shown, as far as the series reach."""
        return self._x_range or (0.0, max((one.x[-1] for one in self._series if one.x), default=1.0))

    @property
    def columns(self) -> int:
        """Cells of the plot area's width."""
        return max(2, self.size.width - (self._chart.left if self._chart else 8))

    def on_click(self, event: events.Click) -> None:
        if self._chart is not None and event.x >= self._chart.left:
            first, last = self._chart.x_range
            share = (event.x - self._chart.left) / max(1, self.columns - 1)
            self.post_message(self.Pointed(first + share * (last - first)))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self.post_message(self.Wheeled(1))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self.post_message(self.Wheeled(-1))

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if self._chart is None:
            self._key = self._key_lines(width) if self._keyed else []
            self._chart = braille.draw(
                self._series,
                width,
                self.size.height - 1 - len(self._key),
                x_label=self._unit,
                log_y=self._log_y,
                x_range=self.x_range,
                zero=self._zero,
                plain=self._plain,
            )
        if y == 0:
            return self._head(width)
        if y <= len(self._key):
            return self._strip(self._key[y - 1], width)
        y -= len(self._key)
        rows = self._chart.rows
        pieces = rows[y - 1] if y - 1 < len(rows) else []
        if y == 2 and not any(one.x for one in self._series):
            pieces = [(f"  {self._empty}", braille.LABEL)]
        strip = self._strip(pieces, width)
        place = self._cursor_column(self._chart)
        if place is None or y > len(rows) - 2:
            return strip
        under = strip.crop(place, place + 1).text
        if under.strip():
            return strip
        line = Segment("┊", self.style_of("plot--cursor"))
        return Strip.join([strip.crop(0, place), Strip([line]), strip.crop(place + 1, width)])

    def _key_lines(self, width: int) -> list[list[Piece]]:
        """Return the legend in lines, at most a third of the height; none where the title's line has room."""
        pieces = [(piece.strip(), role) for piece, role in braille.legend(self._series, plain=self._plain)]
        if cell_len(self._title) + sum(cell_len(piece) + 2 for piece, _ in pieces) <= width:
            return []
        column = min(width, max(cell_len(piece) for piece, _ in pieces) + 3)
        beside = max(1, width // column)
        padded = [(set_cell_size(piece, column), role) for piece, role in pieces]
        lines = [padded[at : at + beside] for at in range(0, len(padded), beside)]
        most = self.size.height // 3
        if len(lines) > most:
            left = len(padded) - beside * max(0, most - 1)
            lines = [*lines[: max(0, most - 1)], [(f"and {left} more", braille.LABEL)]]
        return lines

    @property
    def _plain(self) -> bool:
        return bool(getattr(self.app, "ascii", False))

    def _cursor_column(self, chart: Chart) -> int | None:
        first, last = chart.x_range
        if self._cursor is None or not first <= self._cursor <= last or len(chart.rows) < 3:
            return None
        return chart.left + round((self._cursor - first) / (last - first) * (self.columns - 1))

    def _head(self, width: int) -> Strip:
        title = Segment(self._title, self.style_of("plot--title"))
        pieces = braille.legend(self._series, plain=self._plain)
        if self._cursor is not None:
            values = read_out(self._series, self._cursor)
            at = f"{self._unit} {_place(self._series, self._cursor):.6g}  "
            said = [f"{piece} {value}" for (piece, _), value in zip(pieces, values, strict=True)]
            if cell_len(at) + sum(map(cell_len, said)) > width and all(one.mark for one in self._series):
                # The letters of many lines are told in a table or a legend beside them.
                said = [f"  {one.mark} {value}" for one, value in zip(self._series, values, strict=True)]
            roles = [role for _, role in pieces]
            pieces = [(at, braille.LABEL), *zip(said, roles, strict=True)]
        legend = [Segment(piece, self._style(role)) for piece, role in pieces]
        room = width - cell_len(self._title) - sum(cell_len(s.text) for s in legend)
        if room < 2 and self._cursor is not None:
            return Strip(legend).crop_extend(0, width, self.style_of())  # the numbers are what was asked for
        if room < 2:
            return Strip([title]).crop_extend(0, width, self.style_of())
        gap = Segment(" " * room, self.style_of())
        return Strip([title, gap, *legend]).crop_extend(0, width, self.style_of())

    def _strip(self, pieces: Sequence[Piece], width: int) -> Strip:
        segments = [Segment(piece, self._style(role)) for piece, role in pieces]
        return Strip(segments).crop_extend(0, width, self.style_of())

    def _style(self, role: int) -> Style:
        if role == braille.LABEL:
            return self.style_of("plot--label")
        if role == braille.AXIS:
            return self.style_of("plot--axis")
        part, index = ("band", role - braille.BAND) if role >= braille.BAND else ("series", role)
        pattern = self._series[index].pattern
        number = (index if pattern is None else pattern) % len(braille.PATTERNS)
        return self.style_of(f"plot--{part}-{number}")


def _place(series: Sequence[Series], x: float) -> float:
    """Return the place of the newest point up to a place on the x axis."""
    points = (one.x[bisect_right(one.x, x + 1e-9) - 1] for one in series if one.x and one.x[0] <= x)
    return max(points, default=x)


def read_out(series: Sequence[Series], x: float) -> list[str]:
    """Return the value of each series at its last point up to a place on the x axis."""
    values = []
    for one in series:
        position = bisect_right(one.x, x + 1e-9) - 1
        values.append(text.number(one.y[position]) if position >= 0 else "–")
    return values
