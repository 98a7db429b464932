"""A new run, first step: which recipe."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from imbtui.files import printable
from imbtui.papers import BY_SLUG
from imbtui.text import plural
from imbtui.tui.messages import MachineSeen
from imbtui.tui.widgets.head import Head
from imbtui.tui.widgets.key_bar import KeyBar
from imbtui.tui.widgets.lines import Line, Lines

if TYPE_CHECKING:
    from imbtui.tui.app import ImbtuiApp

KEY = "n"
TITLE = "New run"

WIDE = 132  # cells from which there is room beside the list
PAGE = 10


@dataclass(frozen=True)
class RecipeLine:
    """A recipe to choose.

    Attributes:
        paper: the slug of the paper it is after, or whatever it says there.
        size: how many runs it makes.
        claims: what each of its claims says.
        trouble: why it cannot be read; empty when it can.
    """

    name: str
    path: Path
    title: str
    paper: str
    size: str = ""
    claims: tuple[str, ...] = ()
    trouble: str = ""

    @property
    def after(self) -> str:
        """The paper with its title, where it is one that we know."""
        paper = BY_SLUG.get(self.paper)
        return f"{paper.title} ({paper.slug})" if paper else self.paper


class RecipesFound(Message, bubble=False):
    """All recipes were read, in a thread."""

    def __init__(self, recipes: list[RecipeLine]) -> None:
        super().__init__()
        self.recipes = recipes


class NewRun(Screen[None]):
    """Recipes by name; typing narrows the list. Beside or below it stands what the selected one is about."""

    app: ImbtuiApp
    TYPING = True
    DEFAULT_CSS = """
    NewRun > Input.-textual-compact { height: 1; background: $surface; padding: 0 1; }
    NewRun > Container { height: 1fr; }
    NewRun OptionList.-textual-compact {
        height: 1fr; width: 1fr; border: none; padding: 0 1; background: $background;
        text-wrap: nowrap; text-overflow: ellipsis;
    }
    NewRun OptionList > .option-list--option-highlighted { background: $primary 32%; color: $foreground; }
    NewRun Lines { height: 42%; padding: 0 2; border-top: solid $foreground 15%; }
    NewRun.-wide > Container { layout: horizontal; }
    NewRun.-wide Lines { height: 1fr; width: 40%; border-top: none; border-left: solid $foreground 15%; }
    """
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE, "-wide")]
    AUTO_FOCUS = "Input"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter", "choose", "choose", id="new.choose", tooltip="Open this recipe's form.", priority=True
        ),
        Binding("down", "move(1)", show=False, id="new.down", tooltip="Next recipe."),
        Binding("up", "move(-1)", show=False, id="new.up", tooltip="The recipe before."),
        Binding("pagedown", f"move({PAGE})", show=False, id="new.page_down", tooltip="Ten recipes down."),
        Binding("pageup", f"move(-{PAGE})", show=False, id="new.page_up", tooltip="Ten recipes up."),
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
        with Container():
            yield OptionList(compact=True)
            about = Lines()
            about.can_focus = False
            yield about
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one(OptionList).can_focus = False
        head = self.query_one(Head)
        head.machine(self.app.live.machine)
        head.runs(self.app.live.counts)
        self.run_worker(self._find, thread=True, exclusive=True, group="read", exit_on_error=False)

    def on_machine_seen(self, message: MachineSeen) -> None:
        self.query_one(Head).machine(message.machine)

    def _find(self) -> None:
        found: list[RecipeLine] = []
        try:
            found = find_recipes()
        except Exception as error:  # the screen stays up whatever lies in the folders
            self.app.say_failed("the recipes cannot be listed", error)
        self.post_message(RecipesFound(found))

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
        width = max((len(one.name) for one in self._recipes), default=0)
        listed.add_options(Option(_prompt(one, width), id=one.name) for one in shown)
        if shown:
            listed.highlighted = 0
        else:
            listed.add_option(Option(Content.styled("No recipe matches.", "$text-muted"), disabled=True))
            self._show_about()

    @on(OptionList.OptionHighlighted)
    def _show_about(self) -> None:
        """Say what the recipe under the cursor is about."""
        option = self.query_one(OptionList).highlighted_option
        chosen = [one for one in self._recipes or () if option is not None and one.name == option.id]
        lines = self.query_one(Lines)
        lines.show(_about(chosen[0], lines.size.width) if chosen else [])

    def on_resize(self) -> None:
        self.call_after_refresh(self._show_about)

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
        except (OSError, ValueError, RecursionError) as error:
            found.append(RecipeLine(name, path, "", "", trouble=printable(str(error))))
            continue
        claims = raw.get("claims")
        tables = [claim for claim in claims if isinstance(claim, dict)] if isinstance(claims, list) else []
        found.append(
            RecipeLine(
                name,
                path,
                printable(str(raw.get("title", ""))),
                printable(str(raw.get("paper", ""))),
                _size(raw),
                tuple(printable(str(claim.get("says", ""))) for claim in tables),
            )
        )
    # The quick start is where a newcomer begins.
    return sorted(found, key=lambda one: (one.name != "quickstart", one.name))


def _size(raw: dict[str, Any]) -> str:
    runs, grid = 1, raw.get("grid")
    for part in (raw.get("arms"), raw.get("seeds"), *(grid.values() if isinstance(grid, dict) else ())):
        runs *= len(part) if isinstance(part, list) and part else 1
    return plural(runs, "run")


def _searched(recipe: RecipeLine) -> str:
    return " ".join([recipe.name, recipe.title, recipe.after, *recipe.claims]).lower()


def _prompt(recipe: RecipeLine, width: int) -> Content:
    """Return a line: name, size, title.

    Args:
        width: of the names.
    """
    title = "cannot be read" if recipe.trouble else recipe.title
    return Content.assemble(
        (f"{recipe.name:<{width}}", "bold $text-primary"),
        (f"  {recipe.size:>8}  ", "$text-muted"),
        (title, "$text-error" if recipe.trouble else ""),
    )


def _about(recipe: RecipeLine, width: int) -> list[Line]:
    """Return what a recipe studies, after which paper, and what it claims."""
    width = max(20, width)
    if recipe.trouble:
        return [[(part, "bad")] for part in textwrap.wrap(f"cannot be read: {recipe.trouble}", width)]
    lines: list[Line] = [[(part, "strong")] for part in textwrap.wrap(recipe.title, width)]
    if recipe.after:
        lines += [[(part, "quiet")] for part in textwrap.wrap(f"after {recipe.after}", width)]
    if recipe.claims:
        lines += [[("", "text")], [(f"claims, in {recipe.size}:", "quiet")]]
    for says in recipe.claims:
        first, *more = textwrap.wrap(says, width - 2) or [""]
        lines += [[("· ", "quiet"), (first, "text")], *([("  " + part, "text")] for part in more)]
    return lines


build = NewRun
