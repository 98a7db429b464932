"""Jump mode: a letter on everything that can be reached; pressing it goes there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.widgets import Static

LETTERS = "asdfghjklqwertyuiopzxcvbnm"


@dataclass(frozen=True)
class Target:
    """A place to jump to.

    Attributes:
        x, y: where on the screen its letter stands.
        label: what it is called; empty: its letter says enough.
        go: goes there.
    """

    x: int
    y: int
    label: str
    go: Callable[[], object]


class Jump(ModalScreen[None]):
    """Letters over the screen below.

    Args:
        targets: in the order of their letters.
    """

    TYPING = True
    DEFAULT_CSS = """
    Jump { background: $background 45%; layers: letters; }
    Jump > Static {
        layer: letters; position: absolute; width: auto; height: 1; padding: 0 1;
        background: $accent; color: $background; text-style: bold;
    }
    Jump:ansi > Static { background: ansi_default; color: ansi_default; text-style: bold reverse; }
    Jump > #jump-say { dock: bottom; position: relative; width: 1fr; background: $panel; color: $foreground; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+o", "app.pop_screen", "back", id="jump.back", tooltip="Stay here."),
    ]

    def __init__(self, targets: Sequence[Target]) -> None:
        super().__init__()
        self._targets = dict(zip(LETTERS, targets, strict=False))

    def compose(self) -> ComposeResult:
        for letter, target in self._targets.items():
            label = Static(f"{letter} {target.label}".rstrip(), markup=False)
            label.styles.offset = (max(0, target.x), max(0, target.y))
            yield label
        yield Static("A letter goes there; Escape stays.", id="jump-say")

    def take_key(self, event: events.Key) -> bool:
        """Go where a letter stands; return whether it stands anywhere."""
        target = self._targets.get(event.character or "")
        if target is None:
            return False
        self.app.pop_screen()
        target.go()
        return True
