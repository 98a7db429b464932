"""Scrolling text of any length, drawn line by line: recipes, logs, tables of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from imbtui.tui.widgets.kept import Kept

Line = Sequence[tuple[str, str]]
"""A line as (text, style) pieces; a style is one of `STYLES`."""

STYLES = ("text", "quiet", "strong", "good", "warning", "bad", "accent", "bar", "rail", "found", "here")


def bar(share: float, room: int) -> Line:
    """Return a horizontal bar as pieces of a line, `room` cells wide, filled to a share of 0 to 1."""
    full = round(share * room)
    return [("▇" * full, "bar"), ("·" * (room - full), "rail")]


class Lines(ScrollView, Kept, can_focus=True):
    """Lines of text.

    Args:
        follow: stay at the end while lines are added, until the user scrolls up.
        fixed: never scrolled; other lines then do not lay out the screen anew.
    """

    DEFAULT_CSS = """
    Lines { height: 1fr; scrollbar-size-vertical: 1; scrollbar-size-horizontal: 1; }
    Lines > .lines--text { color: $foreground; }
    Lines > .lines--quiet { color: $text-muted; }
    Lines > .lines--strong { color: $foreground; text-style: bold; }
    Lines > .lines--good { color: $text-success; }
    Lines > .lines--warning { color: $text-warning; }
    Lines > .lines--bad { color: $text-error; text-style: bold; }
    Lines > .lines--accent { color: $text-primary; text-style: bold; }
    Lines > .lines--bar { color: $text-primary; }
    Lines > .lines--found { color: $text-accent; text-style: bold underline; }
    Lines > .lines--here { color: $background; background: $accent; text-style: bold; }
    Lines:ansi > .lines--here { color: ansi_default; background: ansi_default; text-style: bold reverse; }
    Lines > .lines--rail { color: $foreground 20%; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"lines--{style}" for style in STYLES}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "up,k", "scroll_up", "up", show=False, id="lines.up", tooltip="Scroll up.", key_display="↑ k"
        ),
        Binding(
            "down,j",
            "scroll_down",
            "down",
            show=False,
            id="lines.down",
            tooltip="Scroll down.",
            key_display="↓ j",
        ),
        Binding("left", "scroll_left", "left", show=False, id="lines.left", tooltip="Scroll left."),
        Binding("right", "scroll_right", "right", show=False, id="lines.right", tooltip="Scroll right."),
        Binding("pageup", "page_up", "page up", show=False, id="lines.page_up", tooltip="One page up."),
        Binding(
            "pagedown", "page_down", "page down", show=False, id="lines.page_down", tooltip="One page down."
        ),
        Binding("home,g", "scroll_home", "top", show=False, id="lines.top", tooltip="Go to the first line."),
        Binding("end,G", "scroll_end", "end", show=False, id="lines.end", tooltip="Go to the last line."),
    ]

    def __init__(self, *, id: str | None = None, follow: bool = False, fixed: bool = False) -> None:
        super().__init__(id=id)
        self._fixed = fixed
        self._lines: Sequence[Line] = ()
        self._follow = follow

    def show(self, lines: Sequence[Line], *, stay: bool = False) -> None:
        """Show other lines; where the text was followed at its end, it still is, unless it is to `stay`."""
        if self._fixed:
            self._show_fixed(lines)
            return
        at_end = self.scroll_offset.y >= self.max_scroll_y
        self._lines = lines
        width = max((sum(len(text) for text, _ in line) for line in lines), default=0)
        self.virtual_size = Size(width, len(lines))
        self.repaint()
        if self._follow and at_end and not stay:
            self.call_after_refresh(self.scroll_end, animate=False)

    def _show_fixed(self, lines: Sequence[Line]) -> None:
        """Show other lines in place of those before, and draw those that differ."""
        before, self._lines = self._lines, lines
        width = self.size.width
        changed = [
            Region(0, y, width, 1)
            for y, (old, new) in enumerate(zip_longest(before, lines, fillvalue=()))
            if list(old) != list(new)
        ]
        if changed:
            self.refresh(*changed)

    @property
    def plain(self) -> list[str]:
        """The text as it stands, without styles."""
        return ["".join(text for text, _ in line) for line in self._lines]

    def render_line(self, y: int) -> Strip:
        position = y + self.scroll_offset.y
        if position >= len(self._lines):
            return Strip.blank(self.size.width, self.style_of())
        strip = Strip(
            [Segment(text, self.style_of(f"lines--{style}")) for text, style in self._lines[position]]
        )
        left = self.scroll_offset.x
        return strip.crop_extend(left, left + self.size.width, self.style_of())
