"""A run's resolved recipe, and what of it is not as its recipe file says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from imbtui.files import printable
from imbtui.tui.origins import Origin
from imbtui.tui.toml_lines import toml_lines
from imbtui.tui.widgets.lines import Line, Lines


class RecipePane(Lines):
    """The recipe as TOML; a key turns to the differences and back."""

    TITLE = "Recipe"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("v", "view", "differences", id="recipe.view", tooltip="Where each value comes from."),
        Binding("w", "write", "copy", id="recipe.write", tooltip="Copy the resolved recipe as TOML."),
    ]

    def __init__(self) -> None:
        super().__init__(id="recipe-text")
        self._source = ""
        self._overrides: Sequence[str] = ()
        self._origins: Sequence[Origin] = ()
        self._differences = False

    def show_recipe(self, source: str, overrides: Sequence[str], origins: Sequence[Origin]) -> None:
        """Show a recipe.

        Args:
            source: the resolved recipe's text.
            overrides: the assignments it was submitted with.
            origins: what of it the recipe file does not say.
        """
        self._source, self._overrides, self._origins = source, overrides, origins
        self._draw()

    def action_view(self) -> None:
        self._differences = not self._differences
        self._draw()
        self.scroll_home(animate=False)

    def action_write(self) -> None:
        self.app.copy(self._source, "the recipe")  # type: ignore[attr-defined]

    def _draw(self) -> None:
        if self._differences:
            self.show(differences(self._origins))
            return
        lines: list[Line] = []
        if self._overrides:
            lines.append([("# changed when it was submitted:", "quiet")])
            lines += [[(f"#   {printable(text)}", "quiet")] for text in self._overrides]
            lines.append([("", "text")])
        self.show([*lines, *toml_lines(self._source)])


def differences(origins: Sequence[Origin]) -> list[Line]:
    """Return a line for each value that was changed, then those that a default filled in."""
    changed = [origin for origin in origins if origin.by or origin.before]
    filled = [origin for origin in origins if not (origin.by or origin.before)]
    width = max((len(origin.key) for origin in origins), default=0) + 2
    lines: list[Line] = [[("Other than in the tables of the recipe file", "strong")]]
    lines += [
        [
            (f"{printable(origin.key):<{width}}", "text"),
            (f"{printable(origin.before) or '–'} → ", "quiet"),
            (printable(origin.after) or "taken away", "good"),
            (f"   {printable(origin.by)}" if origin.by else "", "accent"),
        ]
        for origin in changed
    ]
    if not changed:
        lines.append([("nothing", "quiet")])
    if filled:
        lines += [[("", "text")], [("Filled in by defaults", "strong")]]
        lines += [
            [(f"{printable(origin.key):<{width}}", "quiet"), (printable(origin.after), "quiet")]
            for origin in filled
        ]
    return lines
