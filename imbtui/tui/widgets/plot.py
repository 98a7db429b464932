"""One chart: a title line with the legend, and the lines of `plotting.braille`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.strip import Strip
from textual.widget import Widget

from imbtui.files import printable
from imbtui.plotting import braille
from imbtui.plotting.braille import Chart, Piece, Series


class Plot(Widget):
    """Series over time. What is drawn is kept until data, scale or size change."""

    DEFAULT_CSS = """
    Plot { height: 1fr; width: 1fr; min-height: 4; }
    Plot > .plot--title { color: $foreground; text-style: bold; }
    Plot > .plot--axis { color: $foreground 30%; }
    Plot > .plot--label { color: $text-muted; }
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
        *(f"plot--{part}-{n}" for part in ("series", "band") for n in range(len(braille.PATTERNS))),
    }

    def __init__(self, *, id: str | None = None, empty: str = "no values yet") -> None:
        super().__init__(id=id)
        self._title = ""
        self._unit = ""
        self._series: Sequence[Series] = ()
        self._log_y = False
        self._empty = empty
        self._chart: Chart | None = None
        self._ground_style: Style | None = None

    def draw(
        self,
        title: str,
        series: Sequence[Series],
        *,
        unit: str = "",
        log_y: bool = False,
        empty: str = "no values yet",
    ) -> None:
        """Draw other data.

        Args:
            title: what is measured.
            series: lines, at most as many as there are patterns.
            unit: of the x axis.
            log_y: logarithmic y axis.
            empty: what stands there when there is nothing to draw.
        """
        self._empty = empty
        self._title, self._series = printable(title), series
        self._unit, self._log_y = unit, log_y
        self._chart = None
        self.refresh()

    def on_resize(self, event: events.Resize) -> None:
        self._chart = None

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y == 0:
            return self._head(width)
        if self._chart is None:
            self._chart = braille.draw(
                self._series,
                width,
                self.size.height - 1,
                x_label=self._unit,
                log_y=self._log_y,
                x_range=(0.0, max((one.x[-1] for one in self._series if one.x), default=1.0)),
            )
        rows = self._chart.rows
        pieces = rows[y - 1] if y - 1 < len(rows) else []
        if y == 2 and not any(one.x for one in self._series):
            pieces = [(f"  {self._empty}", braille.LABEL)]
        return self._strip(pieces, width)

    def _head(self, width: int) -> Strip:
        title = Segment(self._title, self.get_component_rich_style("plot--title"))
        legend = [Segment(text, self._style(role)) for text, role in braille.legend(self._series)]
        room = width - cell_len(self._title) - sum(cell_len(s.text) for s in legend)
        if room < 2:
            return Strip([title]).crop_extend(0, width, self._ground)
        return Strip([title, Segment(" " * room, self._ground), *legend]).crop_extend(0, width, self._ground)

    def _strip(self, pieces: Sequence[Piece], width: int) -> Strip:
        segments = [Segment(text, self._style(role)) for text, role in pieces]
        return Strip(segments).crop_extend(0, width, self._ground)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._ground_style = None

    @property
    def _ground(self) -> Style:
        # Asking for it costs as much as a line.
        if self._ground_style is None:
            self._ground_style = self.rich_style
        return self._ground_style

    def _style(self, role: int) -> Style:
        if role == braille.LABEL:
            return self.get_component_rich_style("plot--label")
        if role == braille.AXIS:
            return self.get_component_rich_style("plot--axis")
        part, index = ("band", role - braille.BAND) if role >= braille.BAND else ("series", role)
        pattern = self._series[index].pattern
        number = (index if pattern is None else pattern) % len(braille.PATTERNS)
        return self.get_component_rich_style(f"plot--{part}-{number}")
