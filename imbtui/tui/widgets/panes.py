"""A main pane and others: side by side where there is room, else one at a time behind tabs."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widget import Widget

from imbtui.tui.widgets.tab_bar import TabBar

WIDE = 132  # cells from which there is room for all


class Panes(Vertical):
    """The main pane is large; the screen has the keys.

    Args:
        titles: of the panes, the main one first.
        panes: as many widgets.
    """

    DEFAULT_CSS = """
    Panes { height: 1fr; }
    Panes > Horizontal { height: 1fr; padding: 0 1; }
    Panes > Horizontal > * { height: 1fr; width: 1fr; }
    Panes #sides { display: none; }
    Panes #sides > * { height: 1fr; }
    Panes.-wide > TabBar { display: none; }
    Panes.-wide > Horizontal { padding: 1 1 0 1; }
    Panes.-wide #sides { width: 48%; margin-left: 3; }
    """

    def __init__(self, titles: Sequence[str], panes: Sequence[Widget]) -> None:
        super().__init__()
        self._titles, self._panes = titles, panes
        self._active = 0

    def compose(self) -> ComposeResult:
        yield TabBar(self._titles)
        with Horizontal():
            yield self._panes[0]
            with Vertical(id="sides"):
                yield from self._panes[1:]

    def on_resize(self, event: events.Resize) -> None:
        self.set_class(event.size.width >= WIDE, "-wide")
        self._place()

    @on(TabBar.Chosen)
    def _chosen(self, event: TabBar.Chosen) -> None:
        self.action_tab(event.number)

    def action_tab(self, number: int) -> None:
        """Show a pane; where all are shown, go to it."""
        if number >= len(self._panes):
            return
        self._active = number
        self.query_one(TabBar).activate(number)
        self._place()
        if self._panes[number].focusable:
            self._panes[number].focus()

    def action_next(self, by: int) -> None:
        """Show the next pane."""
        self.action_tab((self._active + by) % len(self._panes))

    def _place(self) -> None:
        wide = self.has_class("-wide")
        for number, pane in enumerate(self._panes):
            pane.display = wide or number == self._active
        self.query_one("#sides").display = wide or self._active > 0
