"""A new run, second step: what to change of the recipe, and the launch."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Button, Static

from imbtui.errors import UserError
from imbtui.tui.dialogs.ask_text import AskText
from imbtui.tui.dialogs.choose import Choice, Choose
from imbtui.tui.dialogs.show_recipes import ShowRecipes
from imbtui.tui.messages import MachineSeen
from imbtui.tui.widgets.fields import ChoiceWanted, Edited, Fields, MoreWanted
from imbtui.tui.widgets.head import Head
from imbtui.tui.widgets.key_bar import KeyBar
from imbtui.tui.widgets.lines import Lines
from imbtui.tui.widgets.resolved_recipes import ResolvedRecipes

if TYPE_CHECKING:
    from imbtui.tui.app import ImbtuiApp
    from imbtui.tui.form import Field, Form
    from imbtui.tui.submission import Checked, Request

KEY = ""
TITLE = "New run"

WIDE = 132  # cells from which there is room for the resolved recipes
REST = 0.15  # seconds without a key before the form is checked


class RecipeRead(Message, bubble=False):
    """The recipe was read in a thread: its form, or the sentence why there is none."""

    def __init__(self, form: Form | None, trouble: str = "") -> None:
        super().__init__()
        self.form = form
        self.trouble = trouble


class FormChecked(Message, bubble=False):
    """The form was checked in a thread."""

    def __init__(self, number: int, checked: Checked) -> None:
        super().__init__()
        self.number = number
        self.checked = checked


class Launched(Message, bubble=False):
    """The runs were queued, or why not."""

    def __init__(self, said: list[tuple[str, str]], *, worked: bool) -> None:
        super().__init__()
        self.said = said
        self.worked = worked


class FormScreen(Screen[None]):
    """The form of one recipe.

    Args:
        name: the recipe's.
    """

    app: ImbtuiApp
    TYPING = True
    DEFAULT_CSS = """
    FormScreen > #title { height: 1; padding: 0 2; margin: 0 0 1 0; color: $text-muted; }
    FormScreen > #about { height: auto; max-height: 3; padding: 0 2; color: $text-muted; }
    FormScreen > #said { height: auto; min-height: 1; max-height: 4; padding: 0 2; }
    FormScreen > #said.-wrong { color: $text-error; }
    FormScreen:nocolor > #said.-wrong { text-style: bold; }
    FormScreen > #buttons { height: 1; padding: 0 2; margin: 1 0; }
    FormScreen > #body { height: 1fr; }
    FormScreen ResolvedRecipes { display: none; width: 42%; padding: 0 1 0 2; }
    FormScreen ResolvedRecipes { border-left: solid $foreground 15%; }
    FormScreen.-wide ResolvedRecipes { display: block; }
    FormScreen Button { margin-right: 2; min-width: 14; background: $panel; color: $text-primary; }
    FormScreen Button:focus { background: $primary; color: $background; text-style: bold; }
    FormScreen Button:disabled { color: $text-muted; text-style: none; }
    """
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE, "-wide")]
    AUTO_FOCUS = "Fields"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+l,f5", "launch", "launch", id="form.launch", tooltip="Queue the runs."),
        Binding("ctrl+t", "more", "more", id="form.more", tooltip="Show or hide all other options."),
        Binding("f3", "preview", "preview", id="form.preview", tooltip="The resolved recipes, as TOML."),
        Binding("f4,ctrl+e", "editor", "$EDITOR", id="form.editor", tooltip="Edit the recipe's text."),
        Binding("ctrl+s", "save", "save as", id="form.save", tooltip="Save the form as a recipe."),
        Binding("tab", "app.focus_next", show=False, id="form.next", tooltip="On: recipes, buttons, fields."),
        Binding(
            "escape", "back", "back", id="form.back", tooltip="Back to the recipes; nothing is launched."
        ),
    ]

    def __init__(self, name: str) -> None:
        super().__init__()
        self.recipe_name = name
        self._form: Form | None = None
        self._more = False
        self._number = 0
        self._wrong = True
        self._timer: Timer | None = None
        self._launching = False
        self._draft = ""
        self._checked: Checked | None = None

    def compose(self) -> ComposeResult:
        yield Head("New run", self.recipe_name)
        yield Static("reading the recipe …", id="title", markup=False)
        with Horizontal(id="body"):
            yield Fields()
            yield ResolvedRecipes("F3 comes and goes")
        yield Static(id="about", markup=False)
        yield Static(id="said", markup=False)
        with Horizontal(id="buttons"):
            yield Button("Launch", id="launch", compact=True)
            yield Button("Back", id="back", compact=True)
        yield KeyBar()

    def on_mount(self) -> None:
        head = self.query_one(Head)
        head.machine(self.app.live.machine)
        head.runs(self.app.live.counts)
        self.run_worker(self._read, thread=True, group="read", exit_on_error=False)

    def on_machine_seen(self, message: MachineSeen) -> None:
        self.query_one(Head).machine(message.machine)

    def _read(self) -> None:
        from imbtui.tui.submission import read_form

        try:
            self.post_message(RecipeRead(read_form(self.recipe_name)))
        except UserError as error:
            self.post_message(RecipeRead(None, str(error)))
        except Exception as error:  # the screen stays up whatever is in the file
            self.post_message(RecipeRead(None, self.app.say_failed("this recipe cannot be read", error)))

    def on_recipe_read(self, message: RecipeRead) -> None:
        self._form = message.form
        title = self.query_one("#title", Static)
        if self._form is None:
            title.update("This recipe cannot be launched.")
            self._say(message.trouble, wrong=True)
            self.query_one("#launch", Button).disabled = True
            return
        title.update(self._form.title)
        self._show()
        self._check_soon()

    # Fields

    def _show(self) -> None:
        if self._form is None:
            return
        more = self._form.more()
        lines = self.query_one(Fields)
        lines.show(self._form.main(), more if self._more else (), 0 if self._more else len(more))
        self._show_about()

    @on(Fields.Moved)
    def _show_about(self) -> None:
        """Say of the selected field what its line has no room for."""
        field = self.query_one(Fields).field
        about = self.query_one("#about", Static)
        if field is None:
            about.update("")
        elif field.by_arm:
            what = "replaces" if field.changed else "would replace"
            about.update(f"The recipe's arms set it ({field.by_arm}); a value here {what} that in every arm.")
        else:
            about.update(_about(field))

    def on_edited(self, message: Edited) -> None:
        if self._form is not None:
            self._form.change(message.field, message.value)
            self._show()
            self._check_soon()

    def on_choice_wanted(self, message: ChoiceWanted) -> None:
        field = message.field

        def chosen(value: str | None) -> None:
            if value is not None:
                self.on_edited(Edited(field, value))
                self.query_one(Fields).action_move(1)

        choices = _choices(field)
        self.app.push_screen(Choose(field.label, choices, current=field.value), chosen)

    def on_more_wanted(self, message: MoreWanted) -> None:
        self.action_more()

    def action_more(self) -> None:
        self._more = not self._more
        self._show()

    # Checking

    def _check_soon(self) -> None:
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(REST, self._check)

    def _check(self) -> None:
        from imbtui.tui.submission import Request

        if self._form is None:
            return
        self._number += 1
        work = partial(self._check_it, self._number, Request.of(self._form))
        self.run_worker(work, thread=True, exclusive=True, group="check", exit_on_error=False)

    def _check_it(self, number: int, request: Request) -> None:
        from imbtui.tui import submission

        try:
            checked = submission.check(self.app.runs, request)
        except Exception as error:  # the screen stays up whatever is in the runs folder
            checked = submission.Checked(self.app.say_failed("this cannot be checked", error), wrong=True)
        self.post_message(FormChecked(number, checked))

    def on_form_checked(self, message: FormChecked) -> None:
        if message.number != self._number or self._launching:
            return
        checked = message.checked
        self._wrong = checked.wrong
        warnings = "".join(f"\nwarning: {warning}" for warning in checked.warnings)
        self._say(checked.sentence + warnings, wrong=checked.wrong)
        self.query_one(Fields).mark(checked.key if checked.wrong else "")
        self.query_one("#launch", Button).disabled = checked.wrong
        if not checked.wrong:
            self._checked = checked
            self._show_resolved()

    def on_resize(self) -> None:
        self.call_after_refresh(self._show_resolved)

    def _show_resolved(self) -> None:
        """Show what would run beside the form, where there is room."""
        if self.has_class("-wide") and self._checked is not None:
            self.query_one(ResolvedRecipes).show(self._checked.resolved)

    def _say(self, sentence: str, *, wrong: bool = False) -> None:
        said = self.query_one("#said", Static)
        said.update(sentence)
        said.set_class(wrong, "-wrong")

    # As a text

    def action_preview(self) -> None:
        """Go to the resolved recipes beside the form, and back; where there is no room, show them over it."""
        from imbtui.tui import submission

        if self._form is None:
            return
        if self.has_class("-wide"):
            there = self.query_one(ResolvedRecipes).has_focus_within
            self.set_focus(self.query_one(Fields if there else Lines))
            return
        self.query_one(Fields).keep()
        try:
            texts = submission.previews(submission.Request.of(self._form))
        except UserError as error:
            self._say(str(error), wrong=True)
            return
        self.app.push_screen(ShowRecipes(texts))

    def action_editor(self) -> None:
        """Edit the recipe, with the form's changes in it, in the user's editor."""
        from imbtui.tui.editor import edit
        from imbtui.tui.recipe_text import recipe_text

        if self._form is None:
            return
        self.query_one(Fields).keep()
        try:
            before = self._draft or recipe_text(self._form)
            after = edit(self.app, before, name=self._form.path.name)
            if after == before and not self._draft:
                return
            self._draft = after
            self._form = edited(self._form, after)
        except UserError as error:
            again = "   F4 opens the text again." if self._draft else ""
            self._say(str(error) + again, wrong=True)
            return
        self._draft = ""
        self.query_one("#title", Static).update(f"{self._form.title}   (edited)")
        self._show()
        self._check_soon()

    def action_save(self) -> None:
        """Ask for a name and save the form as a recipe."""
        from imbtui.tui import submission

        if self._form is None:
            return
        self.query_one(Fields).keep()
        request = submission.Request.of(self._form)

        def given(name: str | None) -> None:
            if name is not None:
                saved = partial(submission.save, request, name)
                self.app.do(lambda: [(f"saved as {saved()}", "information")])

        self.app.push_screen(
            AskText(
                "Save as a recipe",
                text=f"{Path(self.recipe_name).stem}-2",
                about="It goes to ./recipes and is then in the list of recipes.",
                check=submission.check_name,
            ),
            given,
        )

    # Launching

    @on(Button.Pressed, "#launch")
    def action_launch(self) -> None:
        from imbtui.tui.submission import Request

        self.query_one(Fields).keep()
        if self._form is None or self._launching:
            return
        self._launching = True
        self._say("queueing the runs …")
        work = partial(self._launch, Request.of(self._form))
        self.run_worker(work, thread=True, group="launch", exit_on_error=False)

    def _launch(self, request: Request) -> None:
        from imbtui.tui import submission

        try:
            self.post_message(Launched(submission.launch(self.app.runs, request), worked=True))
        except (UserError, OSError) as error:
            self.post_message(Launched([(str(error), "error")], worked=False))

    def on_launched(self, message: Launched) -> None:
        self._launching = False
        if not message.worked:
            self._say(message.said[0][0], wrong=True)
            return
        self.app.say(message.said)
        self.app.go_home()

    @on(Button.Pressed, "#back")
    def action_back(self) -> None:
        if self.query_one(ResolvedRecipes).has_focus_within:
            self.set_focus(self.query_one(Fields))
        else:
            self.app.pop_screen()


def edited(form: Form, source: str) -> Form:
    """Return the form of a recipe's text that was edited.

    Raises:
        UserError: the text is not in order.
    """
    from imbtui.recipe import parse_study
    from imbtui.tui.form import Form

    parse_study(source, form.path, name=form.name)
    return Form(source, form.path, form.name)


def _choices(field: Field) -> list[Choice]:
    from imbtui import paths, plugins, submit
    from imbtui.tui.form import DATASET, LOSS

    if field.key == DATASET.key:
        root = paths.data_root()
        return [
            Choice(
                name,
                plugins.summary("dataset", name)
                if submit.has_data(name, {}, root)
                else f"not there. {submit.how_to_get(name)}",
            )
            for name in field.choices
        ]
    kind = "loss" if field.key == LOSS.key else "model" if field.key == "model.name" else ""
    return [Choice(name, plugins.summary(kind, name) if kind else "") for name in field.choices]


def _about(field: Field) -> str:
    meaning = f"{field.about[:1].upper()}{field.about[1:]}." if field.about else ""
    recipe = f" The recipe says {field.initial}." if field.changed and field.initial else ""
    return meaning.replace("..", ".") + recipe


build = FormScreen
