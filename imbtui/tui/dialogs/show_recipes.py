"""The resolved recipes of a study that is about to be launched, where there is no room beside its form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from imbtui.tui.widgets.lines import Lines
from imbtui.tui.widgets.resolved_recipes import ResolvedRecipes

if TYPE_CHECKING:
    from imbtui.tui.submission import Resolved


class ShowRecipes(ModalScreen[None]):
    """Shows recipes.

    Args:
        recipes: one for each arm and grid point.
    """

    TYPING = True
    DEFAULT_CSS = """
    ShowRecipes { align: center middle; background: $background 60%; }
    ShowRecipes > ResolvedRecipes {
        width: 92%; max-width: 110; height: 92%;
        background: $surface; border: round $primary; padding: 0 1;
    }
    ShowRecipes Lines { background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,f3", "app.pop_screen", "close", id="show.close", tooltip="Close."),
    ]

    def __init__(self, recipes: Sequence[Resolved]) -> None:
        super().__init__()
        self._recipes = recipes

    def compose(self) -> ComposeResult:
        yield ResolvedRecipes("↑ ↓ scroll   Esc closes")

    def on_mount(self) -> None:
        self.query_one(ResolvedRecipes).show(self._recipes)
        self.set_focus(self.query_one(Lines))
