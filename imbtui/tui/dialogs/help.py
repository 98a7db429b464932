"""All keys that do something on the screen below, from their own descriptions."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from imbtui.tui.widgets.lines import Line, Lines


class Help(ModalScreen[None]):
    """Lists keys.

    Args:
        title: of the screen it was asked on.
        bindings: that screen's, by key.
        display: how a key is written.
    """

    DEFAULT_CSS = """
    Help { align: center middle; background: $background 60%; }
    Help > Vertical {
        width: 76; max-width: 96%; height: auto; max-height: 92%;
        background: $surface; border: round $primary; padding: 0 1;
    }
    Help Static { height: 1; text-style: bold; color: $text-primary; }
    Help Lines { height: auto; background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "escape,question_mark,f1,q,enter", "app.pop_screen", "close", id="help.close", tooltip="Close."
        ),
    ]

    def __init__(self, title: str, bindings: Mapping[str, ActiveBinding], display: Mapping[str, str]) -> None:
        super().__init__()
        self._title = title
        self._active, self._display = bindings, display

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(f"Keys: {self._title}", markup=False)
            lines = Lines()
            lines.show(help_lines(self._active, self._display, 70))
            yield lines

    def on_mount(self) -> None:
        self.set_focus(self.query_one(Lines))

    def on_resize(self) -> None:
        self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        """Break what is said of a key where the dialog ends; leave room for title and border."""
        lines = self.query_one(Lines)
        lines.styles.max_height = max(1, self.size.height * 92 // 100 - 3)
        lines.show(help_lines(self._active, self._display, lines.size.width - 1))


def help_lines(bindings: Mapping[str, ActiveBinding], display: Mapping[str, str], width: int) -> list[Line]:
    """Return lines for each action: its keys, then what it does.

    Args:
        display: how a key is written.
        width: cells of a line.
    """
    keys: dict[str, list[str]] = {}
    says: dict[str, str] = {}
    for key, active in bindings.items():
        binding = active.binding
        if not binding.id or not binding.tooltip:
            continue  # Textual's own, such as those for moving the focus
        keys.setdefault(binding.id, []).append(display[key])
        says[binding.id] = binding.tooltip
    margin = max((len(_joined(names)) for names in keys.values()), default=0)
    order = sorted(keys, key=lambda name: (name.startswith("app."), name.partition(".")[0]))
    lines: list[Line] = []
    for name in order:
        first, *more = textwrap.wrap(says[name], max(16, width - margin - 2))
        lines.append([(f"{_joined(keys[name]):<{margin}}", "accent"), (f"  {first}", "text")])
        lines += [[(f"{'':<{margin}}  {part}", "text")] for part in more]
    lines.append([("", "text")])
    for hint in ("Tab and Shift+Tab move between fields; Ctrl+P opens all commands.", "Esc closes."):
        lines += [[(part, "quiet")] for part in textwrap.wrap(hint, max(16, width))]
    return lines


def _joined(names: list[str]) -> str:
    return " ".join(dict.fromkeys(names))
