"""The last line of a screen: the keys that do something here. Help and quit stay when room is short."""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding
from textual.strip import Strip

from imbtui.tui.widgets.kept import Kept


def _always(binding: Binding) -> bool:
    """Whether a key stays when room is short: the ways out, and help."""
    return binding.id in ("app.help", "app.quit") or (binding.id or "").endswith(".back")


def _rank(position: int, binding: Binding, home: bool) -> int:
    """Return what comes first when room is short: at home the other screens, elsewhere what is done here.

    How a chart is drawn comes behind what is done with what it shows.
    """
    if position == 0:
        return 0
    kind = (binding.id or "").partition(".")[0]
    return 1 if (kind == "app") is home and kind != "chart" else 2 if kind == "chart" else 3


class KeyBar(Kept):
    """Keys and what they do, made from the bindings in force; a click presses the key."""

    DEFAULT_CSS = """
    KeyBar { height: 1; background: $panel; }
    KeyBar > .key-bar--key { color: $text-accent; text-style: bold; background: $panel; }
    KeyBar > .key-bar--text { color: $text-muted; background: $panel; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"key-bar--key", "key-bar--text"}

    def __init__(self) -> None:
        super().__init__()
        self._places: list[tuple[int, int, str]] = []

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, lambda _: self.repaint())

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        shown = self._shown()
        last = [b for b in shown if _always(b)]
        others = [b for b in shown if not _always(b)]
        reserved = sum(self._width(b) for b in last)
        kept: list[Binding] = []
        used = 1
        for binding in others:
            if used + self._width(binding) + reserved > width:
                break
            kept.append(binding)
            used += self._width(binding)
        plain = self.style_of("key-bar--text")
        segments = [Segment(" ", plain)]
        self._places = []
        position = 1
        for group in (kept, last):
            if group is last:
                gap = max(0, width - position - reserved)
                segments.append(Segment(" " * gap, plain))
                position += gap
            for binding in group:
                self._places.append((position, position + self._width(binding), binding.key))
                segments += self._pieces(binding, plain)
                position += self._width(binding)
        return Strip(segments).crop_extend(0, width, plain)

    def _shown(self) -> list[Binding]:
        found: dict[str, Binding] = {}
        for active in self.screen.active_bindings.values():
            if active.binding.show and active.enabled:
                found.setdefault(active.binding.action + active.binding.description, active.binding)
        home = not any((binding.id or "").endswith(".back") for binding in found.values())
        order = sorted(enumerate(found.values()), key=lambda item: (_rank(item[0], item[1], home), item[0]))
        return [binding for _, binding in order]

    def _pieces(self, binding: Binding, plain: Style) -> list[Segment]:
        key = self.app.get_key_display(binding)
        return [
            Segment(key, self.style_of("key-bar--key")),
            Segment(f" {binding.description}  ", plain),
        ]

    def _width(self, binding: Binding) -> int:
        return cell_len(self.app.get_key_display(binding)) + cell_len(binding.description) + 3

    def on_click(self, event: events.Click) -> None:
        for start, stop, key in self._places:
            if start <= event.x < stop:
                self.app.simulate_key(key)
