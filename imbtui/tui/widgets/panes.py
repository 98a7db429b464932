"""A main pane and others: side by side where there is room, else one at a time behind tabs."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widget import Widget

from imbtui.tui.widgets.tab_bar import TabBar

WIDE = 132  # cells from which there is room for all


class Panes(Vertical):
    """The main pane is large; the screen has the keys, and is told of clicks on tabs.

    Attributes:
        active: number of the pane that is shown where there is room for one.

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
        self.active = 0

    def compose(self) -> ComposeResult:
        yield TabBar(self._titles)
        with Horizontal():
            yield self._panes[0]
            with Vertical(id="sides"):
                yield from self._panes[1:]

    def on_resize(self, event: events.Resize) -> None:
        self.set_class(event.size.width >= WIDE, "-wide")
        self._place()

    @property
    def count(self) -> int:
        """How many panes there are."""
        return len(self._panes)

    def pane(self, number: int) -> Widget | None:
        """Return a pane."""
        return self._panes[number] if number < len(self._panes) else None

    def show_tab(self, number: int) -> None:
        """Show a pane; where all are shown, mark its tab."""
        if number < len(self._panes):
            self.active = number
            self.query_one(TabBar).activate(number)
            self._place()

    def _place(self) -> None:
        wide = self.has_class("-wide")
        for number, pane in enumerate(self._panes):
            pane.display = wide or number == self.active
        self.query_one("#sides").display = wide or self.active > 0
