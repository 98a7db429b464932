"""A matrix as coloured cells with their numbers; shades where there is no room for numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.color import Color
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from imbtui.files import printable

Matrix = Sequence[Sequence[float | None]]
WIDE, NARROW = 5, 2  # cells of a column with numbers, and without
MARGIN = 6  # cells before the first column
_SHADES = " ░▒▓█"


class HeatMap(ScrollView, can_focus=True):
    """Rows and columns of a matrix, by number."""

    DEFAULT_CSS = """
    HeatMap { height: 1fr; scrollbar-size-vertical: 1; scrollbar-size-horizontal: 1; }
    HeatMap > .heat-map--title { color: $foreground; text-style: bold; }
    HeatMap > .heat-map--label { color: $text-muted; }
    HeatMap > .heat-map--full { color: $background; background: $primary; }
    HeatMap > .heat-map--none { color: $foreground; background: $background; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"heat-map--{n}" for n in ("title", "label", "full", "none")}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_up", show=False, id="map.up", tooltip="Scroll up."),
        Binding("down,j", "scroll_down", show=False, id="map.down", tooltip="Scroll down."),
        Binding("left", "scroll_left", show=False, id="map.left", tooltip="Scroll left."),
        Binding("right", "scroll_right", show=False, id="map.right", tooltip="Scroll right."),
        Binding("pageup", "page_up", show=False, id="map.page_up", tooltip="One page up."),
        Binding("pagedown", "page_down", show=False, id="map.page_down", tooltip="One page down."),
        Binding("home,g", "scroll_home", show=False, id="map.top", tooltip="Go to the first row."),
        Binding("end,G", "scroll_end", show=False, id="map.end", tooltip="Go to the last row."),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._matrix: Matrix = ()
        self._heads: list[str] = []
        self._shares = False
        self._range = (0.0, 1.0)

    def show(self, title: str, matrix: Matrix, *, about: str = "", shares: bool = False) -> None:
        """Show a matrix.

        Args:
            matrix: equally long rows; None where there is no number.
            about: what rows and columns are.
            shares: show each row as shares of its sum, in per cent.
        """
        self._shares = shares
        self._matrix = [_as_shares(row) for row in matrix] if shares else matrix
        self._heads = [printable(title), printable(about)]
        numbers = [entry for row in self._matrix for entry in row if entry is not None]
        low, high = min(numbers, default=0.0), max(numbers, default=1.0)
        self._range = (0.0, 100.0) if shares else (min(0.0, low), high if high > low else low + 1)
        self._fit()
        self.refresh()

    def on_resize(self) -> None:
        self._fit()

    @property
    def plain(self) -> list[str]:
        """The text as it stands, without styles."""
        return ["".join(s.text for s in self._line(y)) for y in range(len(self._matrix) + 3)]

    @property
    def _columns(self) -> int:
        return max((len(row) for row in self._matrix), default=0)

    @property
    def _width(self) -> int:
        """Cells of a column: with numbers as long as about forty of them are no page of digits."""
        return WIDE if self._columns <= 40 else NARROW

    def _fit(self) -> None:
        self.virtual_size = Size(MARGIN + self._columns * self._width, len(self._matrix) + 3)

    def render_line(self, y: int) -> Strip:
        left = self.scroll_offset.x
        strip = Strip(self._line(y + self.scroll_offset.y))
        return strip.crop_extend(left, left + self.size.width, self.rich_style)

    def _line(self, position: int) -> list[Segment]:
        label = self.get_component_rich_style("heat-map--label")
        if position < 2:
            head = self._heads[position] if self._heads else ""
            return [Segment(head, label if position else self.get_component_rich_style("heat-map--title"))]
        width = self._width
        if position == 2:
            every = 1 if width == WIDE else 5
            names = [f"{n:>{width}}" if n % every == 0 else " " * width for n in range(self._columns)]
            return [Segment(" " * MARGIN + "".join(name[-width:] for name in names), label)]
        row = position - 3
        if row >= len(self._matrix):
            return []
        return [
            Segment(f"{row:>{MARGIN - 1}} ", label),
            *(self._cell(entry, width) for entry in self._matrix[row]),
        ]

    def _cell(self, entry: float | None, width: int) -> Segment:
        if entry is None:
            return Segment("·".rjust(width), self.get_component_rich_style("heat-map--label"))
        low, high = self._range
        share = min(1.0, max(0.0, (entry - low) / (high - low)))
        if width == NARROW:
            shade = _SHADES[round(share * (len(_SHADES) - 1))]
            return Segment(shade * width, self._shade(0.0))
        return Segment(f"{_short(entry, self._shares):>{width - 1}} ", self._shade(share))

    def _shade(self, share: float) -> Style:
        full = self.get_component_styles("heat-map--full")
        none = self.get_component_styles("heat-map--none")
        if full.background.ansi is not None or none.background.ansi is not None:
            # Sixteen colours do not blend: the number tells, and the larger half stands out.
            return Style(reverse=share >= 0.5)
        ground: Color = none.background.blend(full.background, share)
        return Style(color=ground.get_contrast_text(0.95).rich_color, bgcolor=ground.rich_color)


def _as_shares(row: Sequence[float | None]) -> list[float | None]:
    total = sum(entry for entry in row if entry is not None)
    return [None if entry is None or not total else 100 * entry / total for entry in row]


def _short(entry: float, shares: bool) -> str:
    """Return a number in at most four characters."""
    if shares:
        return f"{entry:.0f}" if entry >= 0.5 or entry == 0 else "<1"
    if entry == int(entry) and abs(entry) < 1000:
        return str(int(entry))
    if abs(entry) < 1:
        text = f"{entry:.2f}".replace("0.", ".")
        return text if len(text) <= 4 else f"{entry:.1f}".replace("0.", ".")
    if abs(entry) < 100:
        return f"{entry:.1f}"[:4]
    return f"{entry:.0e}".replace("e+0", "e").replace("e+", "e")
