"""A new run, first step: which recipe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from imbtui.files import printable
from imbtui.text import plural
from imbtui.tui.messages import MachineSeen
from imbtui.tui.widgets.head import Head
from imbtui.tui.widgets.key_bar import KeyBar

if TYPE_CHECKING:
    from imbtui.tui.app import ImbtuiApp

KEY = "n"
TITLE = "New run"


@dataclass(frozen=True)
class RecipeLine:
    """A recipe to choose.

    Attributes:
        size: how many runs it makes.
        says: what the first of its claims says.
        trouble: why it cannot be read; empty when it can.
    """

    name: str
    path: Path
    title: str
    paper: str
    size: str = ""
    says: str = ""
    trouble: str = ""


class RecipesFound(Message, bubble=False):
    """All recipes were read, in a thread."""

    def __init__(self, recipes: list[RecipeLine]) -> None:
        super().__init__()
        self.recipes = recipes


class NewRun(Screen[None]):
    """Recipes by name; typing narrows the list."""

    app: ImbtuiApp
    TYPING = True
    DEFAULT_CSS = """
    NewRun > Input.-textual-compact { height: 1; background: $surface; margin-bottom: 1; padding: 0 1; }
    NewRun > OptionList.-textual-compact {
        height: 1fr; border: none; padding: 0 1; background: $background;
        text-wrap: nowrap; text-overflow: ellipsis;
    }
    NewRun > OptionList > .option-list--option-highlighted { background: $primary 32%; color: $foreground; }
    """
    AUTO_FOCUS = "Input"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter", "choose", "choose", id="new.choose", tooltip="Open this recipe's form.", priority=True
        ),
        Binding("down", "move(1)", show=False, id="new.down", tooltip="Next recipe."),
        Binding("up", "move(-1)", show=False, id="new.up", tooltip="The recipe before."),
        Binding("pagedown", "move(6)", show=False, id="new.page_down", tooltip="Six recipes down."),
        Binding("pageup", "move(-6)", show=False, id="new.page_up", tooltip="Six recipes up."),
        Binding("escape", "app.pop_screen", "back", id="new.back", tooltip="Back to the runs."),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._recipes: list[RecipeLine] | None = None
        self._narrowed = ""
        self._hurried = False

    def compose(self) -> ComposeResult:
        yield Head("New run", "which recipe?")
        yield Input(placeholder="type to narrow: a name, a paper, a word of the title", compact=True)
        yield OptionList(compact=True)
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one(OptionList).can_focus = False
        head = self.query_one(Head)
        head.machine(self.app.live.machine)
        head.runs(self.app.live.rows)
        self.run_worker(self._find, thread=True, exclusive=True, group="read", exit_on_error=False)

    def on_machine_seen(self, message: MachineSeen) -> None:
        self.query_one(Head).machine(message.machine)

    def _find(self) -> None:
        self.post_message(RecipesFound(find_recipes()))

    def on_recipes_found(self, message: RecipesFound) -> None:
        self._recipes = message.recipes
        self._fill()
        if self._hurried:
            self.action_choose()

    @on(Input.Changed)
    def _fill(self) -> None:
        if self._recipes is None:
            return
        self._narrowed = self.query_one(Input).value
        words = self._narrowed.lower().split()
        listed = self.query_one(OptionList)
        listed.clear_options()
        shown = [one for one in self._recipes if all(word in _searched(one) for word in words)]
        # A name that begins with what was typed comes before texts that merely hold it.
        shown.sort(key=lambda one: bool(words) and not one.name.lower().startswith(words[0]))
        listed.add_options(Option(_prompt(one), id=one.name) for one in shown)
        if shown:
            listed.highlighted = 0
        else:
            listed.add_option(Option(Content.styled("  No recipe matches.", "$text-muted"), disabled=True))

    def action_move(self, by: int) -> None:
        listed = self.query_one(OptionList)
        if listed.option_count:
            listed.highlighted = max(0, min(listed.option_count - 1, (listed.highlighted or 0) + by))

    def action_choose(self) -> None:
        self._hurried = self._recipes is None
        if self.query_one(Input).value != self._narrowed:
            self._fill()  # what was typed just now has not narrowed the list yet
        option = self.query_one(OptionList).highlighted_option
        if option is not None:
            self._open(option.id)

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        self._open(event.option_id)

    def _open(self, name: str | None) -> None:
        if name is not None:
            self.app.open_form(name)


def find_recipes() -> list[RecipeLine]:
    """Return all recipes that can be called by name; one that cannot be read says why."""
    import tomllib

    from imbtui.recipe import known

    found = []
    for name, path in known().items():
        try:
            raw = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            found.append(RecipeLine(name, path, "", "", trouble=printable(str(error))))
            continue
        claims = raw.get("claims")
        first = claims[0].get("says", "") if isinstance(claims, list) and claims else ""
        found.append(
            RecipeLine(
                name,
                path,
                printable(str(raw.get("title", ""))),
                printable(str(raw.get("paper", ""))),
                _size(raw),
                printable(str(first)),
            )
        )
    # The quick start is where a newcomer begins.
    return sorted(found, key=lambda one: (one.name != "quickstart", one.name))


def _size(raw: dict[str, Any]) -> str:
    runs = 1
    for part in (raw.get("arms"), raw.get("seeds"), *(raw.get("grid") or {}).values()):
        runs *= len(part) if isinstance(part, list) and part else 1
    return plural(runs, "run")


def _searched(recipe: RecipeLine) -> str:
    return f"{recipe.name} {recipe.title} {recipe.paper} {recipe.says}".lower()


def _prompt(recipe: RecipeLine) -> Content:
    """Return two lines: name and size; title and first claim."""
    paper = f"   after {recipe.paper}" if recipe.paper else ""
    says = f"\n  claims: {recipe.says}" if recipe.says else ""
    title = f"cannot be read: {recipe.trouble}" if recipe.trouble else recipe.title
    return Content.assemble(
        (recipe.name, "bold $text-primary"),
        (f"   {recipe.size}{paper}", "$text-muted"),
        (f"\n  {title}", "$text-error" if recipe.trouble else ""),
        (says, "$text-muted"),
        "\n",
    )


build = NewRun
