"""One line of tabs: a number key or a click shows each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget


class TabBar(Widget):
    """Names with their number; the active one stands out by a bar as well as by colour."""

    DEFAULT_CSS = """
    TabBar { height: 1; background: $surface; }
    TabBar > .tab-bar--active { color: $text-primary; text-style: bold; background: $background; }
    TabBar > .tab-bar--other { color: $text-muted; background: $surface; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"tab-bar--active", "tab-bar--other"}

    class Chosen(Message):
        """A tab was clicked."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    def __init__(self, titles: Sequence[str]) -> None:
        super().__init__()
        self._titles = titles
        self._active = 0

    def activate(self, number: int) -> None:
        """Show another tab as the active one."""
        self._active = number
        self.refresh()

    def render_line(self, y: int) -> Strip:
        other = self.get_component_rich_style("tab-bar--other")
        active = self.get_component_rich_style("tab-bar--active")
        segments = [
            Segment(text, active if number == self._active else other)
            for number, text in enumerate(self._texts())
        ]
        return Strip(segments).crop_extend(0, self.size.width, other)

    def _texts(self) -> list[str]:
        return [
            f"{'▌' if number == self._active else ' '}{number + 1} {title} "
            for number, title in enumerate(self._titles)
        ]

    def jump_targets(self) -> list[tuple[int, str, Callable[[], object]]]:
        """Return where each tab is, for jump mode."""
        targets: list[tuple[int, str, Callable[[], object]]] = []
        start = 0
        for number, text in enumerate(self._texts()):
            targets.append((start, "", partial(self.post_message, self.Chosen(number))))
            start += cell_len(text)
        return targets

    def on_click(self, event: events.Click) -> None:
        start = 0
        for number, text in enumerate(self._texts()):
            if start <= event.x < start + cell_len(text):
                self.post_message(self.Chosen(number))
            start += cell_len(text)
