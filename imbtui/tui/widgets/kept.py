"""Widgets whose lines and styles are made once, however often others are repainted."""

from __future__ import annotations

from rich.style import Style
from textual.color import Color
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget


class Kept(Widget):
    """Keeps its lines until it is repainted, and its styles until they may be others.

    Whenever any widget is repainted, Textual asks all on the screen for all of their lines, and colours of
    the ground and rules for borders are looked up before it finds that none has changed: 0.1 ms a widget,
    a third of what the repaint of a single line cost. A style that is looked up costs as much as a line.
    Beside another base it stands second: a widget has the style sheet of its first.
    """

    _kept: tuple[Region, list[Strip]] | None = None
    _ground: Color | None = None
    _looked_up: dict[str, Style] | None = None

    def style_of(self, name: str = "") -> Style:
        """Return the style of a component class; without a name the widget's own."""
        if self._looked_up is None:
            self._looked_up = {}
        style = self._looked_up.get(name)
        if style is None:
            style = self.get_component_rich_style(name) if name else self.rich_style
            self._looked_up[name] = style
        return style

    def repaint(self) -> None:
        """Draw all lines anew, in the styles that are known: for other contents."""
        self.refresh(self.size.region)

    def forget(self) -> None:
        """Everything may look different."""
        self._kept = self._looked_up = self._ground = None

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self.forget()

    def _set_dirty(self, *regions: Region) -> None:
        self._kept = None
        if not regions:
            self.forget()
        super()._set_dirty(*regions)

    def render_lines(self, crop: Region) -> list[Strip]:
        if self._kept is None or self._kept[0] != crop:
            self._kept = (crop, self.draw_lines(crop))
        return self._kept[1]

    def draw_lines(self, crop: Region) -> list[Strip]:
        """Return the lines of a part of the widget."""
        if any(self.styles.gutter):
            return super().render_lines(crop)
        # The usual way takes 0.1 ms a line to look for borders and the like, and this one has none.
        strips = [self.render_line(y) for y in crop.line_range]
        if self._ground is None:
            self._ground = self.background_colors[1]
        for line_filter in self.get_line_filters():
            strips = [strip.apply_filter(line_filter, self._ground) for strip in strips]
        if crop.column_span != (0, self.size.width):
            strips = [strip.crop(*crop.column_span) for strip in strips]
        return strips
