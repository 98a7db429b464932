"""What the runs of a form will be: the resolved recipe of each arm and grid point, one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from imbtui.tui.toml_lines import toml_lines
from imbtui.tui.widgets.lines import Lines

if TYPE_CHECKING:
    from imbtui.tui.submission import Resolved


class ResolvedRecipes(Vertical):
    """A recipe as TOML; left and right turn to the others.

    Args:
        keys: what else can be done here, for the last line.
    """

    DEFAULT_CSS = """
    ResolvedRecipes > Static { height: 1; color: $text-primary; text-style: bold; }
    ResolvedRecipes > #resolved-keys { color: $text-muted; text-style: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right", "turn(1)", "next", id="show.next", tooltip="The next arm or point.", priority=True),
        Binding("left", "turn(-1)", "before", id="show.before", tooltip="The one before.", priority=True),
    ]

    def __init__(self, keys: str) -> None:
        super().__init__()
        self._keys = keys
        self._recipes: Sequence[Resolved] = ()
        self._at = 0

    def compose(self) -> ComposeResult:
        yield Static(id="resolved-title", markup=False)
        yield Lines()
        yield Static(id="resolved-keys")

    def show(self, recipes: Sequence[Resolved]) -> None:
        """Show other recipes; the arm and point that is looked at stays, where it is among them."""
        before = self._recipes[self._at].title if self._recipes else ""
        titles = [one.title for one in recipes]
        self._recipes = recipes
        self._at = titles.index(before) if before in titles else 0
        more = "← → other arms and grid points   " if len(recipes) > 1 else ""
        self.query_one("#resolved-keys", Static).update(f"{more}{self._keys}")
        self.action_turn(0)

    def action_turn(self, by: int) -> None:
        if not self._recipes:
            return
        self._at = (self._at + by) % len(self._recipes)
        shown = self._recipes[self._at]
        number = f"   {self._at + 1} of {len(self._recipes)}" if len(self._recipes) > 1 else ""
        self.query_one("#resolved-title", Static).update(shown.title + number)
        self.query_one(Lines).show(toml_lines(shown.toml))
