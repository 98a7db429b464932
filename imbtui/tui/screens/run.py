"""One run: its curves, classes, recipe, log, load on the machine, probes and artefacts, live."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeVar

from rich.cells import cell_len
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import ContentSwitcher, Static

from imbtui import shapes, text
from imbtui.files import printable
from imbtui.tui import actions, artefacts
from imbtui.tui import rows as say
from imbtui.tui.artefacts import Artefact, Content
from imbtui.tui.live import Wants
from imbtui.tui.messages import (
    LogGrew,
    MachineSeen,
    ProgressMade,
    Row,
    RowsArrived,
    RunsChanged,
    SystemGrew,
)
from imbtui.tui.origins import Origin, origins
from imbtui.tui.widgets.classes_pane import ClassesPane
from imbtui.tui.widgets.curves_pane import CurvesPane
from imbtui.tui.widgets.head import Head
from imbtui.tui.widgets.key_bar import KeyBar
from imbtui.tui.widgets.log_pane import LogPane
from imbtui.tui.widgets.probes_pane import ProbesPane
from imbtui.tui.widgets.recipe_pane import RecipePane
from imbtui.tui.widgets.system_pane import SystemPane
from imbtui.tui.widgets.tab_bar import TabBar

if TYPE_CHECKING:
    from imbtui.tui.app import ImbtuiApp

Pane = TypeVar("Pane", bound=Widget)

KEY = ""
TITLE = "Run"

PANES: dict[str, type[Widget]] = {
    "curves": CurvesPane,
    "classes": ClassesPane,
    "recipe": RecipePane,
    "log": LogPane,
    "system": SystemPane,
    "probes": ProbesPane,
}
TABS = tuple(PANES)
CONFUSION = "confusion.json"
LOOK_AGAIN = 2.0  # seconds between looks at the artefacts while a tab shows them


@dataclass(frozen=True)
class Read:
    """What of a run's folder is neither in the listing nor in its metrics.

    Attributes:
        source: text of its recipe.
        overrides: the assignments it was submitted with.
        counts: training examples of each class; empty before it has started.
        shots: where few-shot ends and many-shot begins.
        origins: what of its recipe the recipe file does not say.
    """

    source: str = ""
    overrides: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    shots: tuple[int, ...] = (20, 100)
    origins: tuple[Origin, ...] = ()


class FolderRead(Message, bubble=False):
    """A run's folder was read in a thread."""

    def __init__(self, read: Read) -> None:
        super().__init__()
        self.read = read


class ArtefactsRead(Message, bubble=False):
    """The artefacts were listed, and some of them read, in a thread."""

    def __init__(self, artefacts: list[Artefact], contents: dict[str, tuple[int, Content]]) -> None:
        super().__init__()
        self.artefacts = artefacts
        self.contents = contents


class Run(Screen[None]):
    """One run; made before anybody knows which, and told by `show_run`.

    Attributes:
        run_id: the run; empty before that.
    """

    app: ImbtuiApp

    DEFAULT_CSS = """
    Run #status { height: auto; min-height: 1; max-height: 4; padding: 0 1; background: $surface; }
    Run #panes { height: 1fr; }
    Run #panes > * { height: 1fr; }
    Run Lines { padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(str(n), f"tab({n - 1})", tab, show=False, id=f"run.{tab}", tooltip=f"Show {tab}.")
            for n, tab in enumerate(TABS, 1)
        ),
        Binding("escape", "app.pop_screen", "back", id="run.back", tooltip="Back to the runs."),
        Binding("tab", "next(1)", "next tab", id="run.next", tooltip="Next tab."),
        Binding(
            "shift+tab", "next(-1)", "previous tab", show=False, id="run.previous", tooltip="Tab before."
        ),
        Binding("X", "stop", "stop", id="run.stop", tooltip="Stop; a checkpoint is written first."),
        Binding("R", "resume", "resume", id="run.resume", tooltip="Resume from the newest checkpoint."),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.run_id = ""
        self._made_ahead = False
        self._read = Read()
        self._seen: tuple[str, int, bool] | None = None
        self._reading = False
        self._said = ""
        self._tab = TABS[0]
        self._artefacts: list[Artefact] = []
        self._contents: dict[str, tuple[int, Content]] = {}
        self._wanted: set[str] = {CONFUSION}

    def compose(self) -> ComposeResult:
        yield Head(TITLE)
        yield Static(id="status", markup=False)
        yield TabBar([tab.capitalize() for tab in TABS])
        with ContentSwitcher(id="panes", initial="curves"):
            with Container(id="curves"):
                yield CurvesPane()
            for tab in TABS[1:]:  # filled when they are opened: all at once would take as long as four curves
                yield Container(id=tab)
        yield KeyBar()

    def on_mount(self) -> None:
        self.set_focus(self.query_one(CurvesPane))
        if self.run_id:
            self._begin()

    def show_run(self, run_id: str) -> None:
        """Show a run; once, before the screen is pushed."""
        self.run_id = run_id
        if self.is_mounted:
            self._made_ahead = True
            self._begin()

    def _begin(self) -> None:
        self._show_row()
        self._show_curves()
        self.query_one(Head).machine(self.app.live.machine)
        self.set_interval(LOOK_AGAIN, self._look_at_artefacts)
        self.call_after_refresh(self._read_all)

    def _read_all(self) -> None:
        """Read what the curves do not need, once they stand: threads would take the processor from them."""
        self._read_folder()
        self._look_at_artefacts(at_once=True)

    def on_screen_resume(self, event: events.ScreenResume) -> None:
        if self._made_ahead:
            self._made_ahead = event.refresh_styles = False  # it has its styles already
        else:
            self._show_row()
        self.app.live.poke()

    def wants(self) -> Wants:
        """This run's metrics always, its log and the machine's load while they are shown."""
        log, system = (self.run_id if self._tab == tab else None for tab in ("log", "system"))
        return Wants(frozenset({self.run_id}), log, system=system)

    @property
    def _row(self) -> Row | None:
        return self.app.live.row(self.run_id)

    # What the poller says

    def on_runs_changed(self, message: RunsChanged) -> None:
        self._show_row()

    def on_progress_made(self, message: ProgressMade) -> None:
        if self.run_id in message.rows:
            self._show_row()

    def on_machine_seen(self, message: MachineSeen) -> None:
        self.query_one(Head).machine(message.machine)

    def on_rows_arrived(self, message: RowsArrived) -> None:
        if message.run_id == self.run_id:
            if self._reading or not message.complete:
                self._reading = not message.complete
                self._show_row()
            self._show_curves()

    def on_log_grew(self, message: LogGrew) -> None:
        if message.run_id == self.run_id:
            for pane in self._made(LogPane):
                pane.show(message.lines)

    def on_system_grew(self, message: SystemGrew) -> None:
        if message.run_id == self.run_id:
            for pane in self._made(SystemPane):
                pane.show(message.curves, complete=True)

    def _show_row(self) -> None:
        row = self._row
        head = self.query_one(Head)
        head.runs(self.app.live.counts)
        if row is None:
            gone = "reading …" if not self.app.live.listed else "this run's folder is gone"
            self._say(gone)
            return
        head.set(
            title=f"{say.name(row)}  seed {row.get('seed', '')}",
            place=printable(f"{row.get('study', '')}  {self.run_id}"),
        )
        live = self.app.live
        share = 1.0 if self.run_id in live.complete else live.share.get(self.run_id, 1.0)
        reading = f"reading a long metrics file: {100 * share:.0f} %   " if share < 1 else ""
        self._say(reading + _status(row, self.app.size.width - 2 - len(reading)))
        seen = (row["state"], row.get("attempt", 1), "live" in row)
        if self._seen not in (None, seen):
            self._read_folder()
        self._seen = seen
        self.refresh_bindings()

    def _say(self, status: str) -> None:
        """Show the state in words; another one of one line does not lay the screen out anew."""
        if status != self._said:
            place, lines = self.query_one("#status", Static), (self._said, status)
            self._said = status
            place.update(status, layout=any(cell_len(line) > self.app.size.width - 2 for line in lines))

    def _show_curves(self) -> None:
        live = self.app.live
        curves = live.curves.get(self.run_id)
        self.query_one("#curves CurvesPane", CurvesPane).show(curves, complete=self.run_id in live.complete)
        for probes in self._made(ProbesPane):
            probes.show(curves)
        for classes in self._made(ClassesPane):
            classes.show_run(curves, self._read.counts, self._read.shots)

    # Its folder

    def _read_folder(self) -> None:
        self.run_worker(self._read_it, thread=True, exclusive=True, group="read", exit_on_error=False)

    def _read_it(self) -> None:
        self.post_message(FolderRead(read_folder(self.app, self.run_id)))

    def on_folder_read(self, message: FolderRead) -> None:
        self._read = message.read
        self._show_recipe()
        self._show_curves()

    def _show_recipe(self) -> None:
        read = self._read
        for pane in self._made(RecipePane):
            pane.show_recipe(read.source, read.overrides, read.origins)

    # Its artefacts

    def _look_at_artefacts(self, *, at_once: bool = False) -> None:
        if at_once or (self._tab in ("classes", "probes") and self.is_current):
            self.run_worker(
                self._read_artefacts, thread=True, exclusive=True, group="artefacts", exit_on_error=False
            )

    def _read_artefacts(self) -> None:
        folder = self.app.runs.run(self.run_id).artifacts
        found = artefacts.listed(folder)
        new = {}
        for one in found:
            known = self._contents.get(one.name)
            if one.name in self._wanted and (known is None or known[0] != one.changed):
                new[one.name] = (one.changed, artefacts.read(folder / one.name))
        self.post_message(ArtefactsRead(found, new))

    def on_artefacts_read(self, message: ArtefactsRead) -> None:
        self._artefacts = message.artefacts
        self._contents |= message.contents
        self._show_artefacts(message.contents)

    def _show_artefacts(self, contents: dict[str, tuple[int, Content]]) -> None:
        for classes in self._made(ClassesPane) if CONFUSION in contents else ():
            classes.show_confusion(contents[CONFUSION][1])
        for probes in self._made(ProbesPane):
            probes.show_artefacts(self._artefacts, contents)

    @on(ProbesPane.Wanted)
    def _content_wanted(self, event: ProbesPane.Wanted) -> None:
        if event.artefact.name not in self._wanted:
            self._wanted.add(event.artefact.name)
            self._look_at_artefacts(at_once=True)

    # Tabs

    def _made(self, kind: type[Pane]) -> Iterable[Pane]:
        """Return the pane of a kind, if it has been made; one that is being made is shown all in the end."""
        return (pane for pane in self.query(kind) if pane.is_mounted)

    async def _pane(self, tab: str) -> Widget:
        """Return the pane of a tab; it is made when the tab is opened for the first time."""
        place = self.query_one(f"#{tab}", Container)
        if not place.children:
            await place.mount(PANES[tab]())
            self._show_curves()
            self._show_recipe()
            self._show_artefacts(self._contents)
        return place.children[0]

    async def action_tab(self, number: int) -> None:
        pane = await self._pane(TABS[number])
        self._tab = TABS[number]
        self.query_one("#panes", ContentSwitcher).current = self._tab
        self.query_one(TabBar).activate(number)
        inside = (widget for widget in pane.query(Widget) if widget.focusable and widget.display)
        # At once: what is pressed next is for this tab.
        self.set_focus(pane if pane.can_focus else next(inside, pane))
        self._look_at_artefacts()
        self.app.live.poke()

    async def action_next(self, by: int) -> None:
        await self.action_tab((TABS.index(self._tab) + by) % len(TABS))

    @on(TabBar.Chosen)
    async def _chosen(self, event: TabBar.Chosen) -> None:
        await self.action_tab(event.number)

    # What is done to it

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Stop what is under way, resume what is not."""
        row = self._row if action in ("stop", "resume") else None
        if row is not None:
            active = row["state"] in ("queued", "running")
            return active if action == "stop" else (not active and row["state"] != "finished")
        return True

    def action_stop(self) -> None:
        self.app.ask(
            "Stop this run?",
            "A checkpoint is written first; R resumes it.",
            yes="Stop",
            then=lambda: self.app.do(lambda: actions.stop(self.app.runs, [self.run_id])),
        )

    def action_resume(self) -> None:
        self.app.do(lambda: actions.resume(self.app.runs, [self.run_id]))


def read_folder(app: ImbtuiApp, run_id: str) -> Read:
    """Read what the listing does not hold; a damaged or absent folder gives less."""
    from imbtui import store

    view = store.read(app.runs.run(run_id))
    try:
        source = view.path.recipe.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        source = f"# recipe.toml cannot be read: {error.strerror}"
    shots = (view.recipe.get("train") or {}).get("shots")
    submit = view.submit
    return Read(
        source,
        tuple(view.submit.get("overrides", ())),
        tuple(view.env.get("class_counts", ())),
        tuple(shots) if shots and shapes.list_of(shapes.number)(shots) and len(shots) == 2 else (20, 100),
        tuple(origins(str(submit.get("source") or ""), view.recipe, submit)),
    )


def _status(row: Row, width: int) -> str:
    """Return state, progress and newest numbers; a reason is given whole, over several lines if need be."""
    state, situation = row["state"], say.situation(row)
    if state in ("failed", "crashed", "stopped", "queued"):
        return state + (f": {situation}" if situation else "")
    parts = [f"{state}  {situation}" if situation else state]
    share = say.share(row)
    if share is not None:
        full = round(20 * share)
        parts = [f"{state}  {'━' * full}{'┄' * (20 - full)} {100 * share:.0f} %  {situation}"]
        left = say.seconds_left(row)
        if left is not None:
            parts.append(f"about {text.duration(left)} left")
        if say.device(row):
            parts.append(say.device(row))
    value = say.last(row)
    if value is not None:
        parts.append(f"balanced accuracy {text.number(value)}")
    while len(parts) > 1 and cell_len("   ".join(parts)) > width:
        parts.pop()
    return "   ".join(parts)


build = Run
