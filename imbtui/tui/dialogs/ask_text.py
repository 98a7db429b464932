"""A question that is answered with a line of text."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from imbtui.errors import UserError


class AskText(ModalScreen[str | None]):
    """Answers the text, or None.

    Args:
        title: what is asked for.
        text: what stands there at first.
        about: what the text may be.
        check: raises a UserError, whose sentence is shown, for text that will not do.
    """

    TYPING = True
    DEFAULT_CSS = """
    AskText { align: center middle; background: $background 60%; }
    AskText > Vertical {
        width: 72; max-width: 96%; height: auto;
        background: $surface; border: round $primary; padding: 0 1;
    }
    AskText Static { height: auto; color: $text-muted; }
    AskText #ask-title { text-style: bold; color: $text-primary; }
    AskText #ask-wrong { color: $text-error; display: none; }
    AskText #ask-wrong.-shown { display: block; }
    AskText Input { height: 1; margin: 1 0; background: $background; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "give", "take it", id="ask.give", tooltip="Take this text.", priority=True),
        Binding("escape", "dismiss(None)", "back", id="ask.back", tooltip="Leave it as it is."),
    ]

    def __init__(
        self, title: str, *, text: str = "", about: str = "", check: Callable[[str], object] = len
    ) -> None:
        super().__init__()
        self._title, self._text, self._about, self._check = title, text, about, check

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(self._title, id="ask-title", markup=False)
            yield Input(self._text, compact=True, select_on_focus=False)
            yield Static(self._about, markup=False)
            yield Static(id="ask-wrong", markup=False)
            yield Static("⏎ takes it   Esc leaves it as it is", id="ask-keys", markup=False)

    def on_mount(self) -> None:
        self.set_focus(self.query_one(Input))

    def action_give(self) -> None:
        text = self.query_one(Input).value
        try:
            self._check(text)
        except UserError as error:
            wrong = self.query_one("#ask-wrong", Static)
            wrong.update(str(error))
            wrong.add_class("-shown")
        else:
            self.dismiss(text)
