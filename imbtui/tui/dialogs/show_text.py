"""Texts to read, one at a time: the resolved recipes of a study that is about to be launched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from imbtui.tui.toml_lines import toml_lines
from imbtui.tui.widgets.lines import Lines


class ShowText(ModalScreen[None]):
    """Shows texts.

    Args:
        texts: title and TOML of each.
    """

    TYPING = True
    DEFAULT_CSS = """
    ShowText { align: center middle; background: $background 60%; }
    ShowText > Vertical {
        width: 92%; max-width: 110; height: 92%;
        background: $surface; border: round $primary; padding: 0 1;
    }
    ShowText Static { height: 1; color: $text-primary; text-style: bold; }
    ShowText #show-keys { color: $text-muted; text-style: none; }
    ShowText Lines { background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,f3", "app.pop_screen", "close", id="show.close", tooltip="Close."),
        Binding("right", "turn(1)", "next", id="show.next", tooltip="The next run.", priority=True),
        Binding("left", "turn(-1)", "before", id="show.before", tooltip="The run before.", priority=True),
    ]

    def __init__(self, texts: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._texts = texts
        self._at = 0

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(id="show-title", markup=False)
            yield Lines()
            more = "← → other arms and grid points   " if len(self._texts) > 1 else ""
            yield Static(f"{more}↑ ↓ scroll   Esc closes", id="show-keys")

    def on_mount(self) -> None:
        self.set_focus(self.query_one(Lines))
        self.action_turn(0)

    def action_turn(self, by: int) -> None:
        self._at = (self._at + by) % len(self._texts)
        title, text = self._texts[self._at]
        number = f"   {self._at + 1} of {len(self._texts)}" if len(self._texts) > 1 else ""
        self.query_one("#show-title", Static).update(title + number)
        self.query_one(Lines).show(toml_lines(text))
