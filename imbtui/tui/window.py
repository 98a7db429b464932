"""The part of an x axis that charts show, and the place on it at which values are read out."""

from __future__ import annotations

from collections.abc import Sequence

NEAREST = 8  # points that the narrowest window still holds
TOO_NEAR = f"No closer: less than {NEAREST} points would be left."

Span = tuple[float, float]


class Window:
    """What is zoomed in on and what is read out; all charts of a pane share one.

    Attributes:
        zoom: the part that is shown; None: all there is.
        cursor: where values are read out; None: nowhere.
    """

    def __init__(self) -> None:
        self.zoom: Span | None = None
        self.cursor: float | None = None

    def forget(self) -> None:
        """Show all and read nothing out: the axis is another one."""
        self.zoom = self.cursor = None

    def read(self, by: int, whole: Span, *, cells: int, integers: bool = False) -> None:
        """Move the read-out; the first time it appears at the end of what is shown.

        Args:
            by: cells.
            whole: the whole axis.
            cells: how many wide it is drawn.
            integers: whether only whole numbers are places on it.
        """
        first, last = self.zoom or whole
        place = last if self.cursor is None else self.cursor + by * (last - first) / max(1, cells - 1)
        place = max(whole[0], min(whole[1], place))
        self.cursor = float(round(place)) if integers else place
        if self.zoom and not first <= self.cursor <= last:
            shift = self.cursor - (first if self.cursor < first else last)
            self.zoom = (first + shift, last + shift)

    def turn(self, by: int, whole: Span, points: Sequence[float]) -> bool:
        """Zoom in on what is read out, or on the end; or out again.

        Args:
            by: 1: in, -1: out.
            whole: the whole axis.
            points: where on it something was measured.

        Returns:
            Whether that was possible: fewer than `NEAREST` points are too few to look at.
        """
        (start, end), (first, last) = whole, self.zoom or whole
        middle = last if self.cursor is None else self.cursor
        width = (last - first) * (0.5 if by > 0 else 2.0)
        inside = sum(first <= x <= last for x in points)
        if by > 0 and inside * width / max(1e-12, last - first) < NEAREST:
            return False
        first = max(start, min(middle - width / 2, end - width))
        self.zoom = None if width >= end - start else (first, first + width)
        return True
