"""A question before something that cannot be taken back at once."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static


class Confirm(ModalScreen[bool]):
    """Asks; answers True or False."""

    DEFAULT_CSS = """
    Confirm { align: center middle; background: $background 60%; }
    Confirm > Vertical {
        width: 64; max-width: 90%; height: auto; max-height: 90%;
        background: $surface; border: round $warning; padding: 1 2;
    }
    Confirm Static { width: 1fr; height: auto; }
    Confirm .confirm--more { color: $text-muted; margin: 1 0; }
    Confirm Horizontal { height: 1; width: 1fr; align-horizontal: right; }
    Confirm Button { margin-left: 2; min-width: 12; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "yes", id="confirm.yes", tooltip="Yes."),
        Binding("n,escape", "answer(False)", "no", id="confirm.no", tooltip="No, go back."),
        Binding("left,right", "app.focus_next", show=False, id="confirm.other", tooltip="The other answer."),
    ]

    def __init__(self, question: str, more: str = "", *, yes: str = "Yes") -> None:
        super().__init__()
        self._question, self._more, self._yes = question, more, yes

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(self._question, markup=False)
            yield Static(self._more, classes="confirm--more", markup=False)
            with Horizontal():
                yield Button(f"{self._yes} (y)", id="yes", variant="warning", compact=True)
                yield Button("No (n)", id="no", compact=True)

    def on_mount(self) -> None:
        self.set_focus(self.query_one("#no"))

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")

    def action_answer(self, answer: bool) -> None:
        self.dismiss(answer)
