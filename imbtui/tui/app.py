"""The dashboard's app: its screens, the keys that work everywhere, and the passing on of messages."""

from __future__ import annotations

import ast
import importlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.app import App
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input
from textual.worker import Worker, WorkerState

from imbtui.errors import UserError
from imbtui.files import printable
from imbtui.paths import RunsPaths
from imbtui.text import plural
from imbtui.tui import ascii, view_state
from imbtui.tui import rows as say
from imbtui.tui.dialogs.confirm import Confirm
from imbtui.tui.live import Live
from imbtui.tui.messages import (
    LogGrew,
    MachineSeen,
    ProgressMade,
    QueueSeen,
    Row,
    RowsArrived,
    RowsDropped,
    RunsChanged,
    Said,
    Seen,
    StudyChecked,
    SystemGrew,
)
from imbtui.tui.terminal import Changes, Written
from imbtui.tui.theme import DARK, NAMES, THEMES

if TYPE_CHECKING:
    from rich.console import RenderableType
    from textual.command import Provider

SCREENS = Path(__file__).parent / "screens"
SCREENS_PACKAGE = "imbtui.tui.screens"
HOME = "runs"
SETTLED = 0.7  # seconds after which the first screen stands
COMING_UP = 0.005  # seconds between looks at a screen that is coming up while keys wait for it


@dataclass(frozen=True)
class ScreenFile:
    """A file of the screens folder, as it states itself.

    Attributes:
        name: the file's.
        key: what opens it from anywhere; empty: other screens open it.
        title: what it is called.
    """

    name: str
    key: str
    title: str


def list_screens() -> list[ScreenFile]:
    """Return the screens there are, without importing one."""
    found = []
    for path in sorted(SCREENS.glob("[a-z]*.py")):
        stated = {"KEY": "", "TITLE": path.stem}
        for line in path.read_text(encoding="utf-8").splitlines():
            name, equals, value = line.partition(" = ")
            if equals and name in stated:
                stated[name] = ast.literal_eval(value)
        found.append(ScreenFile(path.stem, stated["KEY"], stated["TITLE"]))
    return found


def _commands() -> type[Provider]:
    from imbtui.tui.commands import Commands

    return Commands


class ImbtuiApp(App[None]):
    """The dashboard over one runs folder. It only looks and asks: quitting changes nothing."""

    TITLE = "imbtui"
    CSS = """
    ToastRack { margin-bottom: 3; }
    Toast { width: 60; max-width: 90%; }
    OptionList { scrollbar-size-vertical: 1; }
    Input > .input--placeholder { color: $text-muted; }
    Input:ansi > .input--cursor { color: ansi_default; background: ansi_default; text-style: reverse; }
    OptionList:ansi > .option-list--option-highlighted { background: ansi_default; text-style: reverse; }
    OptionList:nocolor > .option-list--option-highlighted { text-style: underline; }
    Button:nocolor:focus { text-style: bold reverse; }
    Button:nocolor:disabled { text-style: strike; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(
                screen.key,
                f"open('{screen.name}')",
                screen.title.lower(),
                id=f"app.{screen.name}",
                tooltip=f"Open: {screen.title}.",
            )
            for screen in list_screens()
            if screen.key
        ),
        Binding(
            "ctrl+o",
            "jump",
            "jump",
            show=False,
            id="app.jump",
            tooltip="Jump: a letter on every place.",
        ),
        Binding("f2", "next_theme", "theme", show=False, id="app.theme", tooltip="The next theme."),
        Binding("question_mark,f1", "help", "help", id="app.help", tooltip="Show the keys of this screen."),
        Binding("q", "quit", "quit", id="app.quit", tooltip="Leave; runs go on."),
    ]

    COMMANDS = {_commands}

    def __init__(self, runs: RunsPaths) -> None:
        super().__init__()
        self._spare: Screen[None] | None = None
        self._settling: Timer | None = None
        self.runs = runs
        self.live = Live(self, runs)
        self.view = view_state.load(runs)
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = self.view.theme if self.view.theme in self.available_themes else DARK.name
        self._early: deque[events.Key] = deque()
        self._written = Written()
        self._warned: set[str] = set()
        self.ascii = ascii.wanted()
        if self.ascii:
            self._filters.append(ascii.AsciiFilter())

    def get_default_screen(self) -> Screen[None]:
        """Begin with the table of runs; below it lies no other screen."""
        return self._build(HOME)

    def on_mount(self) -> None:
        self.app_resume_signal.subscribe(self, lambda _: self._written.forget())
        self.live.start()
        self.settle()

    def settle(self) -> None:
        """Make ready what Enter opens once the screen has stood for a moment.

        To import a run's screen, make its widgets and give them their styles takes four times as long as to
        show it.
        """
        if self._settling is not None:
            self._settling.stop()
        self._settling = self.set_timer(SETTLED, self._prepare)

    def _prepare(self) -> None:
        if self._spare is None:
            work = partial(importlib.import_module, f"{SCREENS_PACKAGE}.run")
            self.run_worker(work, thread=True, group="prepare", exit_on_error=False)

    async def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Make the screen whose file was imported."""
        if event.worker.group == "prepare" and event.state is WorkerState.SUCCESS and self._spare is None:
            screen = self._spare = self._build("run")
            _, mounted = self._get_screen(screen)
            await mounted
            if self._spare is screen:  # else it was opened or given up in the meantime
                screen._refresh_layout(self.size)

    def on_unmount(self) -> None:
        self.live.stop()
        self.remember()

    def get_key_display(self, binding: Binding) -> str:
        """Return how a key is written: signs only where the terminal has them."""
        display = super().get_key_display(binding)
        return ascii.key_text(display) if self.ascii else display

    def on_resize(self, event: events.Resize) -> None:
        self._written.forget()

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        if isinstance(renderable, ChopsUpdate | LayoutUpdate):
            renderable = Changes(renderable, self._written)
        super()._display(screen, renderable)

    def remember(self) -> None:
        """Keep how the dashboard is left."""
        view_state.save(self.runs, self.view)

    def watch_theme(self, theme: str) -> None:
        self.view.theme = theme
        if self._spare is not None:  # it has the styles of the theme before
            self._spare.remove()
            self._spare = None
            self.settle()

    def choose_theme(self, theme: str) -> None:
        """Use a theme from now on."""
        self.theme = theme

    def action_next_theme(self) -> None:
        ours = list(NAMES)
        following = ours[(ours.index(self.theme) + 1) % len(ours)] if self.theme in ours else ours[0]
        self.choose_theme(following)
        self.notify(f"{following}: {NAMES[following]}")

    # Keys

    async def on_event(self, event: events.Event) -> None:
        """Let each key have its effect before the next one is looked at.

        Left to Textual, a key goes to the focused widget, and to what it is bound to only when it comes back
        from there: keys pressed in one go would all reach what had the focus when the first was pressed.
        """
        if not isinstance(event, events.Key) or event.is_forwarded or not self.app_focus:
            await super().on_event(event)
        elif not self.screen_stack:
            pass  # all is closed already
        elif self._early or not self.screen.is_mounted:
            self._early.append(event)
            if len(self._early) == 1:
                self.set_timer(COMING_UP, self._take_early)
        elif not await self._take(event):
            await super().on_event(event)

    async def _take_early(self) -> None:
        """Let keys that were pressed before a screen had come up act on it."""
        while self._early and self.screen.is_mounted:
            event = self._early[0]
            if not await self._take(event):
                await super().on_event(event)
            self._early.popleft()
        if self._early:
            self.set_timer(COMING_UP, self._take_early)

    async def _take(self, event: events.Key) -> bool:
        """Let a key be typed where text is typed, or else do what it is bound to; return whether it was."""
        if await self._check_bindings(event.key, priority=True):
            return True
        focused = self.focused
        if isinstance(focused, Input):
            if event.is_printable and event.character:
                focused.replace(event.character, *focused.selection)
                return True
        else:
            take_key = getattr(focused or self.screen, "take_key", None)
            if take_key is not None and take_key(event):
                return True
        return await self._check_bindings(event.key)

    # Screens

    def _build(self, name: str, *arguments: str) -> Screen[None]:
        return importlib.import_module(f"{SCREENS_PACKAGE}.{name}").build(*arguments)

    def action_open(self, name: str) -> None:
        """Open a screen of the screens folder; one that is open already comes to the front."""
        module = f"{SCREENS_PACKAGE}.{name}"
        for depth, screen in enumerate(reversed(self.screen_stack)):
            if type(screen).__module__ == module:
                for _ in range(depth):
                    self.pop_screen()
                return
        self.push_screen(self._build(name))

    def open_run(self, run_id: str) -> None:
        """Open one run."""
        screen, self._spare = self._spare or self._build("run"), None
        screen.show_run(run_id)  # type: ignore[attr-defined]
        self.push_screen(screen)

    def open_form(self, recipe: str) -> None:
        """Open the form of a recipe."""
        self.push_screen(self._build("form", recipe))

    def open_paper(self, slug: str) -> None:
        """Open one paper."""
        self.push_screen(self._build("paper", slug))

    def open_comparison(self, ids: Sequence[str]) -> None:
        """Compare runs; those that differ in the seed alone count as one."""
        self.push_screen(importlib.import_module(f"{SCREENS_PACKAGE}.compare").build(ids=tuple(ids)))

    def open_study(self, study: str, variant: str) -> None:
        """Compare a study's arms."""
        build = importlib.import_module(f"{SCREENS_PACKAGE}.compare").build
        rows = [r for r in self.live.rows if (r.get("study"), r.get("variant")) == (study, variant)]
        self.push_screen(build(ids=tuple(row["id"] for row in rows), study=(study, variant)))

    def go_home(self) -> None:
        """Close everything above the table of runs."""
        while len(self.screen_stack) > 1:
            self.pop_screen()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """No letter leaves a dialog, or a screen where letters are typed; no screen leads to itself."""
        below = [screen for screen in self.screen_stack if not screen.is_modal]
        if action in ("open", "quit") and getattr(below[-1], "TYPING", False):
            return False
        if action == "open" and type(below[-1]).__module__ == f"{SCREENS_PACKAGE}.{parameters[0]}":
            return False
        return super().check_action(action, parameters)

    def action_help(self) -> None:
        """Show the keys of the screen."""
        from imbtui.tui.dialogs.help import Help

        bindings = self.screen.active_bindings
        display = {key: self.get_key_display(active.binding) for key, active in bindings.items()}
        self.push_screen(Help(self._place_title(), bindings, display))

    def _place_title(self) -> str:
        """Return what the screen is called, as its file states it."""
        stem = type(self.screen).__module__.rpartition(".")[2]
        return next((one.title for one in list_screens() if one.name == stem), stem.replace("_", " "))

    def action_jump(self) -> None:
        """Put a letter on everything that can be reached from here."""
        from imbtui.tui.dialogs.jump import Jump, Target

        targets: list[Target] = []
        for widget in self.screen.query(Widget):
            if not widget.is_on_screen or not widget.display or widget.region.size.area == 0:
                continue
            if hasattr(widget, "jump_targets"):
                x, y = widget.region.offset
                targets += [Target(x + dx, y, label, go) for dx, label, go in widget.jump_targets()]
            elif widget.focusable:
                targets.append(Target(*widget.region.offset, "", widget.focus))
        below = self.size.height - 2
        x = 1
        for screen in list_screens():
            if screen.key and not getattr(self.screen, "TYPING", False):
                targets.append(Target(x, below, screen.title, partial(self.action_open, screen.name)))
                x += len(screen.title) + 6
        self.push_screen(Jump(targets))

    def copy(self, text: str, what: str) -> None:
        """Put text into the clipboard, and into a file: no terminal tells whether it took it.

        Args:
            what: names it to the user.
        """
        self.copy_to_clipboard(text)
        self.do(partial(_write_copy, text, what))

    def copy_ids(self, rows: Sequence[Row]) -> None:
        """Copy the ids of runs, a line each."""
        ids = [row["id"] for row in rows]
        if ids:
            self.copy("\n".join(ids), ids[0] if len(ids) == 1 else plural(len(ids), "id"))

    def ask(self, question: str, more: str, *, yes: str, then: Callable[[], None]) -> None:
        """Ask before something that cannot be taken back at once; do it only after a yes."""

        def answered(answer: bool | None) -> None:
            if answer:
                then()

        self.push_screen(Confirm(question, more, yes=yes), answered)

    def run_study(self, recipe: str) -> None:
        """Ask whether a recipe's study shall run, saying how many runs that makes, and queue it."""
        self.run_worker(partial(self._check, recipe), thread=True, group="do", exit_on_error=False)

    def _check(self, recipe: str) -> None:
        from imbtui.tui import submission

        try:
            request = submission.Request.of(submission.read_form(recipe))
            self.post_message(StudyChecked(recipe, request, submission.check(self.runs, request)))
        except (UserError, OSError) as error:
            self.say([(str(error), "error")])

    def on_study_checked(self, message: StudyChecked) -> None:
        from imbtui.tui import submission

        if message.checked.wrong:
            self.say([(message.checked.sentence, "error")])
            return
        launch = partial(submission.launch, self.runs, message.request)
        more = "\n".join([f"{message.checked.sentence}.", *message.checked.warnings])
        self.ask(f"Run {message.recipe}?", more, yes="Run", then=partial(self.do, launch))

    # Work in the background

    def do(self, work: Callable[[], list[tuple[str, str]]]) -> None:
        """Do something in a thread and say the sentences that come of it."""
        self.run_worker(partial(self._done, work), thread=True, group="do", exit_on_error=False)

    def _done(self, work: Callable[[], list[tuple[str, str]]]) -> None:
        try:
            said = work()
        except (UserError, OSError, TimeoutError) as error:
            said = [(str(error), "error")]
        self.say(said)

    def say(self, said: list[tuple[str, str]]) -> None:
        """Show sentences with their severities."""
        for sentence, severity in said:
            self.post_message(Said(sentence, severity=severity))

    def warn(self, sentence: str) -> None:
        """Show a warning, once: whoever finds the same damage again need not say so again."""
        if sentence not in self._warned:
            self._warned.add(sentence)
            self.say([(sentence, "warning")])

    def say_failed(self, what: str, error: Exception) -> str:
        """Show that something could not be done, and why; return that sentence."""
        ours = isinstance(error, UserError | OSError)
        sentence = f"{what}: {error}" if ours else f"{what}: {type(error).__name__}: {error}"
        self.say([(sentence, "error")])
        return sentence

    # Messages of the poller, on their way to the screens

    def on_seen(self, message: Seen) -> None:
        for part in message.parts:
            getattr(self, part.handler_name)(part)
        self.live.taken()

    def on_runs_changed(self, message: RunsChanged) -> None:
        ended = self.live.take_rows(message)
        self._announce(ended)
        self._pass_on(message)

    def on_progress_made(self, message: ProgressMade) -> None:
        self.live.take_progress(message)
        self._pass_on(message)

    def on_rows_arrived(self, message: RowsArrived) -> None:
        self.live.take_curves(message)
        self._pass_on(message)

    def on_rows_dropped(self, message: RowsDropped) -> None:
        self.live.drop_curves(message)

    def on_log_grew(self, message: LogGrew) -> None:
        self._pass_on(message)

    def on_system_grew(self, message: SystemGrew) -> None:
        self._pass_on(message)

    def on_machine_seen(self, message: MachineSeen) -> None:
        self.live.machine = message.machine
        self._pass_on(message)

    def on_queue_seen(self, message: QueueSeen) -> None:
        self._pass_on(message)

    def on_said(self, message: Said) -> None:
        severity = message.severity if message.severity in ("warning", "error") else "information"
        self.notify(printable(message.sentence), severity=severity, markup=False)  # type: ignore[arg-type]
        self.live.poke()

    def _pass_on(self, message: Message) -> None:
        handler = f"on_{message.handler_name.removeprefix('on_')}"
        for screen in self.screen_stack:
            if hasattr(screen, handler):
                screen.post_message(message)

    def _announce(self, ended: list[Row]) -> None:
        """Ring and say it when a run failed, and when the last run of a study ended."""
        bad = [row for row in ended if row["state"] in ("failed", "crashed")]
        for row in bad[:3]:
            sentence = f"{say.name(row)}, seed {row.get('seed')} {row['state']}: {say.situation(row)}"
            self.notify(sentence, severity="error", markup=False)
        over = self._studies_over(ended)
        for sentence in over:
            self.notify(sentence, markup=False)
        if bad or over:
            self.bell()

    def _studies_over(self, ended: list[Row]) -> list[str]:
        """Return a sentence for each study that has nothing left to run."""
        sentences = []
        for study, variant in dict.fromkeys((row.get("study"), row.get("variant")) for row in ended):
            states = [
                row["state"]
                for row in self.live.rows
                if row.get("study") == study and row.get("variant") == variant
            ]
            if not any(state in ("queued", "running") for state in states):
                counts = [f"{states.count(state)} {state}" for state in say.STATES if state in states]
                sentences.append(f"{study} is through: {', '.join(counts)}")
        return sentences


def _write_copy(text: str, what: str) -> list[tuple[str, str]]:
    import platformdirs

    from imbtui import files

    path = Path(platformdirs.user_cache_dir("imbtui")) / "clipboard.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_atomic(path, text, durable=False)
    return [(f"{what} copied; also in {files.printable(str(path))}", "information")]


def run(runs: RunsPaths) -> None:
    """Open the dashboard and return when the user leaves it; stdin and stdout are a terminal."""
    ImbtuiApp(runs).run()
