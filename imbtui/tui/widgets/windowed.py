"""Widgets whose charts are zoomed and read out with keys and mouse."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.widget import Widget

from imbtui.tui.widgets.plot import Plot
from imbtui.tui.window import TOO_NEAR, Span, Window


class Windowed(Widget):
    """Turns keys and mouse into a window on the x axis. Beside another base it stands second.

    A subclass makes `window` and says what the axis is like.
    """

    window: Window

    @property
    def whole(self) -> Span:
        """The whole x axis of the charts on the screen."""
        raise NotImplementedError

    @property
    def in_steps(self) -> bool:
        """Whether only whole numbers are places on the x axis."""
        raise NotImplementedError

    def points(self) -> Sequence[float]:
        """Return where on the x axis something was measured."""
        raise NotImplementedError

    def draw(self) -> None:
        """Draw the charts as the window is now."""
        raise NotImplementedError

    def action_read(self, by: int) -> None:
        """Move the read-out by cells; the first time it appears at the end."""
        cells = self.query(Plot).first().columns
        self.window.read(by, self.whole, cells=cells, integers=self.in_steps)
        self.draw()

    def action_unread(self) -> None:
        self.window.cursor = None
        self.draw()

    def action_zoom(self, by: int) -> None:
        if not self.window.turn(by, self.whole, self.points()):
            self.notify(TOO_NEAR, severity="warning")
        self.draw()

    @on(Plot.Pointed)
    def _pointed(self, event: Plot.Pointed) -> None:
        if self.can_focus:
            self.focus()
        self.window.cursor = event.x
        self.draw()

    @on(Plot.Wheeled)
    def _wheeled(self, event: Plot.Wheeled) -> None:
        self.action_zoom(event.by)
