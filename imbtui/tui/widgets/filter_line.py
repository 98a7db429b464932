"""A typed line as a line of the screen, which gives it room while it is shown."""

from __future__ import annotations

from typing import ClassVar

from textual.strip import Strip

from imbtui.tui.widgets.kept import Kept
from imbtui.tui.widgets.typed_line import STYLES, TypedLine


class FilterLine(Kept):
    """Shows a typed line.

    Attributes:
        line: what it shows.
    """

    DEFAULT_CSS = """
    FilterLine { display: none; height: 1; background: $surface; }
    FilterLine.-shown { display: block; }
    FilterLine > .filter-line--prompt { color: $text-primary; background: $surface; }
    FilterLine > .filter-line--text { color: $foreground; background: $surface; }
    FilterLine > .filter-line--quiet { color: $text-muted; background: $surface; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = set(STYLES)

    def __init__(self, line: TypedLine) -> None:
        super().__init__()
        self.line = line
        line.changed = self._changed

    def _changed(self) -> None:
        self.set_class(self.line.shown, "-shown")
        self.repaint()

    def render_line(self, y: int) -> Strip:
        return self.line.draw(self.size.width, self.style_of)
