"""A list to choose from, narrowed by typing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option


@dataclass(frozen=True)
class Choice:
    """One line of the list.

    Attributes:
        value: what is chosen.
        about: what it is, in a few words.
    """

    value: str
    about: str = ""


class Choose(ModalScreen[str | None]):
    """Answers the chosen value, or None.

    Args:
        title: what is chosen.
        choices: the list.
        current: the value the cursor starts on.
    """

    TYPING = True
    DEFAULT_CSS = """
    Choose { align: center middle; background: $background 60%; }
    Choose > Vertical {
        width: 76; max-width: 96%; height: auto; max-height: 90%;
        background: $surface; border: round $primary; padding: 0 1;
    }
    Choose Static { height: 1; text-style: bold; color: $text-primary; }
    Choose #choose-keys { text-style: none; color: $text-muted; }
    Choose Input { height: 1; background: $surface; }
    Choose OptionList {
        height: auto; max-height: 16; border: none; padding: 0; background: $surface;
        text-wrap: nowrap; text-overflow: ellipsis;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "choose", id="choose.choose", tooltip="Choose it.", priority=True),
        Binding("escape", "dismiss(None)", "back", id="choose.back", tooltip="Leave it as it is."),
        Binding("down", "move(1)", show=False, id="choose.down", tooltip="Next."),
        Binding("up", "move(-1)", show=False, id="choose.up", tooltip="The one before."),
        Binding("pagedown", "move(8)", show=False, id="choose.page_down", tooltip="Eight down."),
        Binding("pageup", "move(-8)", show=False, id="choose.page_up", tooltip="Eight up."),
    ]

    def __init__(self, title: str, choices: Sequence[Choice], *, current: str = "") -> None:
        super().__init__()
        self._title, self._choices, self._current = title, choices, current
        self._narrowed = ""

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(self._title, markup=False)
            yield Input(placeholder="type to narrow", compact=True, select_on_focus=False)
            yield OptionList(compact=True)
            yield Static("⏎ chooses   ↑ ↓ move   Esc leaves it as it is", id="choose-keys", markup=False)

    def on_mount(self) -> None:
        self.query_one(OptionList).can_focus = False
        self.set_focus(self.query_one(Input))
        self._fill()

    @on(Input.Changed)
    def _fill(self) -> None:
        self._narrowed = self.query_one(Input).value
        words = self._narrowed.lower().split()
        shown = [c for c in self._choices if all(word in f"{c.value} {c.about}".lower() for word in words)]
        # What begins with the text comes before what merely contains it.
        shown.sort(key=lambda choice: not choice.value.lower().startswith(" ".join(words)))
        width = max((len(choice.value) for choice in self._choices), default=0) + 2
        listed = self.query_one(OptionList)
        listed.clear_options()
        listed.add_options(
            Option(Content.assemble((f"{c.value:<{width}}", "bold"), (c.about, "$text-muted")), id=c.value)
            for c in shown
        )
        values = [choice.value for choice in shown]
        if values:
            listed.highlighted = values.index(self._current) if self._current in values and not words else 0

    def action_move(self, by: int) -> None:
        listed = self.query_one(OptionList)
        if listed.option_count:
            listed.highlighted = max(0, min(listed.option_count - 1, (listed.highlighted or 0) + by))

    def action_choose(self) -> None:
        if self.query_one(Input).value != self._narrowed:
            self._fill()  # what was typed just now has not narrowed the list yet
        listed = self.query_one(OptionList)
        option = listed.highlighted_option
        if option is not None:
            self.dismiss(option.id)

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_id)
