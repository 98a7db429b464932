"""Home: the table of runs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.geometry import Size
from textual.message import Message
from textual.screen import Screen
from textual.timer import Timer
from textual.worker import get_current_worker

from imbtui.errors import UserError
from imbtui.files import printable
from imbtui.text import plural
from imbtui.tui import actions
from imbtui.tui import rows as say
from imbtui.tui.dialogs.ask_text import AskText
from imbtui.tui.dialogs.choose import Choice, Choose
from imbtui.tui.filtering import RunFilter
from imbtui.tui.live import Wants
from imbtui.tui.messages import (
    MachineSeen,
    ProgressMade,
    Row,
    RowsArrived,
)
from imbtui.tui.searched import Searched
from imbtui.tui.widgets.detail import Detail
from imbtui.tui.widgets.devices import Devices
from imbtui.tui.widgets.head import Head
from imbtui.tui.widgets.kept import Kept
from imbtui.tui.widgets.key_bar import KeyBar
from imbtui.tui.widgets.preview import Preview
from imbtui.tui.widgets.runs_table import RunsTable
from imbtui.tui.widgets.table import Column, Line

if TYPE_CHECKING:
    from imbtui.tui.app import ImbtuiApp

KEY = ""
TITLE = "Runs"

WIDE, TALL = 132, 38  # cells from which there is room for the preview
PATIENCE = 0.2  # seconds after which it is said that the runs are still being read
COMPLAINT_DELAY = 0.5  # seconds the typing rests before it is said what is wrong with a filter
READ_DELAY = 0.08  # seconds the cursor rests before the selected run's recipe is read


class NotesRead(Message, bubble=False):
    """What of the selected run the listing does not hold, read in a thread.

    Attributes:
        knobs: what its recipe mostly is, for runs whose listing does not say it.
    """

    def __init__(self, run_id: str, note: str, knobs: str) -> None:
        super().__init__()
        self.run_id = run_id
        self.note = note
        self.knobs = knobs


class Filtered(Message, bubble=False):
    """The ids that satisfy a filter that had to read run folders."""

    def __init__(self, text: str, ids: frozenset[str]) -> None:
        super().__init__()
        self.text = text
        self.ids = ids


class Body(Horizontal, Kept):
    """Table and preview."""


class Runs(Screen[None]):
    """All runs of the folder; keys act on the marked ones, else on the selected one."""

    app: ImbtuiApp

    DEFAULT_CSS = """
    Runs > Body { height: 1fr; width: 1fr; }
    Runs RunsTable { width: 1fr; height: 1fr; }
    Runs Preview { display: none; width: 38%; height: 1fr; }
    Runs.-narrow Body { layout: vertical; }
    Runs.-narrow Preview { width: 1fr; height: 45%; border-left: none; border-top: solid $foreground 15%; }
    Runs.-narrow Preview {
        layout: grid; grid-size: 2 2; grid-columns: 48 1fr; grid-rows: 6 1fr; grid-gutter: 0 2;
    }
    Runs.-narrow Preview > #curve { row-span: 2; }
    Runs.-narrow.-short Preview { height: 60%; layout: vertical; }
    Runs.-narrow.-short Preview > #facts { height: 4; }
    Runs.-narrow.-short Preview > #numbers { display: none; }
    Runs.-preview Preview { display: block; }
    Runs.-preview Detail { display: none; }
    """
    AUTO_FOCUS = "RunsTable"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "slash",
            "filter",
            "filter",
            id="runs.search",
            tooltip="Filter: words or an expression as in `imbtui ls --where`.",
        ),
        Binding(
            "X", "stop", "stop", id="runs.stop", tooltip="Stop: a running run writes a checkpoint first."
        ),
        Binding(
            "R",
            "resume",
            "resume",
            id="runs.resume",
            tooltip="Resume from the newest checkpoint; queued runs: see that they start.",
        ),
        Binding("delete", "remove", "delete", id="runs.delete", tooltip="Move to the trash."),
        Binding("u", "undo", "undo", show=False, id="runs.undo", tooltip="Bring back what was deleted last."),
        Binding(
            "c",
            "compare",
            "compare",
            id="runs.compare",
            tooltip="Compare the marked runs; without marks the arms of the study.",
        ),
        Binding("t", "tag", "tag", id="runs.tag", tooltip="Add tags or take them away."),
        Binding("e", "note", "note", show=False, id="runs.note", tooltip="Write a note on the run."),
        Binding(
            "o", "order", "order by", show=False, id="runs.order", tooltip="Choose the column to sort by."
        ),
        Binding(
            "C", "columns", "columns", show=False, id="runs.columns", tooltip="Show or put away columns."
        ),
        Binding("i", "info", "info", id="runs.info", tooltip="Show or hide curve and key numbers."),
        Binding("w", "write", "copy id", show=False, id="runs.write", tooltip="Copy ids to the clipboard."),
        Binding(
            "ctrl+r",
            "refresh",
            "refresh",
            show=False,
            id="runs.refresh",
            tooltip="Read all folders again.",
        ),
        Binding(
            "escape",
            "back",
            "clear",
            show=False,
            id="runs.clear",
            tooltip="Clear the filter, then the marks.",
        ),
        Binding("enter,down", "keep_filter", "to the runs", id="filter.keep", tooltip="Keep the filter."),
        Binding("escape", "drop_filter", "clear", id="filter.back", tooltip="Clear the filter."),
    ]
    _OF_FILTER = frozenset({"keep_filter", "drop_filter"})
    _OF_RUNS = frozenset(b.action for b in BINDINGS if isinstance(b, Binding)) - _OF_FILTER
    _WITHOUT_RUNS = frozenset({"back", "refresh", "undo"})

    def __init__(self) -> None:
        super().__init__()
        self._table = RunsTable()
        self._line = self._table.filter
        self._filter_text = ""
        self._filter: RunFilter | None = None
        self._matched: frozenset[str] = frozenset()
        self._found: tuple[RunFilter, Searched, Sequence[int]] | None = None
        self._recipes: dict[str, Any] = {}
        self._knobs: dict[str, str] = {}
        self._notes: dict[str, str] = {}
        self._wanted = Wants()
        self._deleted: list[Path] = []
        self._resting: Timer | None = None
        self._asking: Timer | None = None
        self._complaining: Timer | None = None
        self._waits = False
        self._knows_all = False

    def compose(self) -> ComposeResult:
        # Told now it costs nothing; told after the first layout, a second one.
        self.update_classes(self._room(self.app.size), update=False)
        yield Head("imbtui", _place(self.app.runs.root))
        yield Devices()
        with Body():
            yield self._table
            yield Preview()
        yield Detail()
        yield KeyBar()

    def on_mount(self) -> None:
        view, table = self.app.view, self._table
        table.typed = lambda: self._take_filter(self._line.text.strip())
        known = {column.key for column in table.columns}
        table.sort_key, table.descending = (view.sort if view.sort in known else "age"), view.descending
        table.grouped, table.toggled, table.hidden = view.grouped, set(view.toggled), set(view.hidden)
        if view.filter:
            self._line.show(text=view.filter)
            self._take_filter(view.filter)
        self.set_timer(PATIENCE, self._wait)

    def _wait(self) -> None:
        self._waits = True
        if not self.app.live.listed:
            self._show_all()

    def on_resize(self, event: events.Resize) -> None:
        self.update_classes(self._room(event.size), animate=False)
        self._show_devices()

    def _room(self, size: Size) -> dict[str, bool]:
        """Return the classes that say how to lay out: the preview shows where there is room, or as told."""
        wide, tall, told = size.width >= WIDE, size.height >= TALL, self.app.view.preview
        return {"-narrow": not wide, "-short": not tall, "-preview": wide or tall if told is None else told}

    def action_info(self) -> None:
        self.app.view.preview = not self.has_class("-preview")
        self.update_classes(self._room(self.size), animate=False)
        self.call_after_refresh(self._show_selected)
        self.call_after_refresh(self.app.live.poke)

    def on_screen_resume(self) -> None:
        self.query_one(Head).machine(self.app.live.machine)
        self._table.update(self.app.live.active)  # it was not told of their progress meanwhile
        self.on_runs_changed()
        self.app.live.poke()
        self.app.settle()

    def wants(self) -> Wants:
        """The selected run's curve is drawn where there is room for the preview."""
        return self._wanted

    # What the poller says

    def on_runs_changed(self) -> None:
        self.query_one(Head).runs(self.app.live.counts)
        self._show_all()
        self._follow()

    def on_progress_made(self, message: ProgressMade) -> None:
        self._table.update(message.rows)
        row = self._table.run
        if row is not None and row["id"] in message.rows:
            self._show_selected()

    def on_rows_arrived(self, message: RowsArrived) -> None:
        if message.run_id in self._wanted.curves:
            self._show_selected()

    def on_machine_seen(self, message: MachineSeen) -> None:
        self.query_one(Head).machine(message.machine)
        self._show_devices()

    def _show_devices(self) -> None:
        self.query_one(Devices).show(self.app.live.machine, room=max(0, (self.size.height - 16) // 3))

    def _show_all(self) -> None:
        if self._filter is None:
            self._show(None)
        elif self._filter.needs_folders:
            self._filter_in_thread(self._filter)
            self._show_matched()
        else:
            self._show(self._filtered(self._filter))

    def _filtered(self, chosen: RunFilter) -> Sequence[int]:
        """Return where runs stand that satisfy a filter; a word that is typed on looks only where it was."""
        live, among = self.app.live, None
        if self._found is not None:
            before, searched, places = self._found
            among = places if searched is live.searched and chosen.narrows(before) else None
        places = chosen.find(live.rows, live.searched, among=among)
        self._found = (chosen, live.searched, places)
        return places

    def _show_matched(self) -> None:
        self._show([place for place, row in enumerate(self.app.live.rows) if row["id"] in self._matched])

    def _show(self, among: Sequence[int] | None) -> None:
        """Show the runs at these places of the list, or all."""
        live = self.app.live
        self._table.show_runs(live.rows, among)
        shown = len(live.rows if among is None else among)
        if self._filter_text:
            self._line.say(f"{shown} of {plural(len(live.rows), 'run')}   Esc clears")
        if live.listed is not self._knows_all:
            self._knows_all = live.listed
            self.refresh_bindings()
        if not shown:
            self._table.say_instead(self._nothing())
        self._show_selected()

    def _nothing(self) -> Sequence[Line]:
        """Return what is said while there are no lines."""
        if not self.app.live.listed:
            return [[("reading the runs …", "table--quiet")]] if self._waits else ()
        if self._filter_text and self.app.live.rows:
            return [
                [("No run matches the filter.", "table--text")],
                [],
                [("Esc clears it.", "table--quiet")],
            ]
        return [
            [("No runs here yet.", "table--strong")],
            [],
            [
                ("Press ", "table--text"),
                ("n", "table--mark"),
                (" to choose a recipe and start one.", "table--text"),
            ],
            [],
            [("From a shell: imbtui run quickstart", "table--quiet")],
        ]

    # The selected run

    @on(RunsTable.Highlighted)
    def _highlighted(self) -> None:
        self._show_selected(preview=False)
        # A single key is answered at once; those of a held one when it rests.
        if self._resting is not None:
            self._resting.stop()
        elif self._follow():
            self._show_selected()
        self._resting = self.set_timer(READ_DELAY, self._rested)

    def _rested(self) -> None:
        """The cursor rests on a run: draw its preview and read what the listing does not hold."""
        self._resting = None
        self._show_selected()
        self._read_selected()
        self._follow()

    def _follow(self) -> bool:
        """Have the curves read that the preview lacks, and return whether it has them all."""
        complete = self._wanted.curves <= self.app.live.curves.keys()
        if not complete:
            self.app.live.poke()
        return complete

    def _show_selected(self, *, preview: bool = True) -> None:
        row, group = self._table.run, self._table.group
        knobs = (say.knobs(row) or self._knobs.get(row["id"], "")) if row else ""
        marked = len(self._table.chosen) if self._table.marks else 0
        self.query_one(Detail).show(row, knobs, marked=marked, group=group)
        pane = self.query_one(Preview)
        drawn = pane.runs_of(group) if group else [row["id"]] if row else []
        self._wanted = Wants(frozenset(drawn) if pane.display else frozenset(), beside=True)
        if not pane.display or not preview:
            return
        if group is not None:
            pane.show_group(group, self.app.live.curves)
        else:
            curves = self.app.live.curves.get(row["id"]) if row else None
            pane.show(row, knobs, curves, note=self._notes.get(row["id"], "") if row else "")

    def _read_selected(self) -> None:
        row = self._table.run
        if row is None or row["id"] in self._notes:
            return
        work = partial(self._read, row["id"], lacks_knobs=not row.get("knobs"))
        self.run_worker(work, thread=True, exclusive=True, group="read", exit_on_error=False)

    def _read(self, run_id: str, *, lacks_knobs: bool) -> None:
        from imbtui import knobs, store

        run = self.app.runs.run(run_id)
        found = knobs.main_knobs(store.RunView(run, "").recipe) if lacks_knobs else {}
        self.post_message(NotesRead(run_id, store.read_notes(run)[1], say.knobs({"knobs": found})))

    def on_notes_read(self, message: NotesRead) -> None:
        self._notes[message.run_id] = message.note
        self._knobs[message.run_id] = message.knobs
        if message.note or message.knobs:
            self._show_selected()

    @on(RunsTable.Opened)
    def _opened(self, event: RunsTable.Opened) -> None:
        self.app.open_run(event.row["id"])

    @on(RunsTable.Arranged)
    def _arranged(self) -> None:
        view, table = self.app.view, self._table
        view.sort, view.descending, view.grouped = table.sort_key, table.descending, table.grouped
        view.toggled, view.hidden = sorted(table.toggled)[:200], sorted(table.hidden)
        self._show_selected()

    def action_order(self) -> None:
        """Ask for the column to sort by."""
        table = self._table
        choices = [Choice(column.title, _order_of(column)) for column in table.columns]
        current = next(column.title for column in table.columns if column.key == table.sort_key)

        def chosen(title: str | None) -> None:
            for column in table.columns:
                if column.title == title:
                    table.sort_by(column.key, descending=column.descends)

        self.app.push_screen(Choose("Sort by", choices, current=current), chosen)

    def action_columns(self) -> None:
        """Ask for a column to show or to put away."""
        table = self._table
        offered = [column for column in table.columns if column.key not in ("state", "name", "progress")]
        choices = [
            Choice(column.title, "put away" if column.key in table.hidden else "shown where there is room")
            for column in offered
        ]

        def chosen(title: str | None) -> None:
            for column in offered:
                if column.title == title:
                    table.hide(column.key, not_hidden=column.key in table.hidden)
                    self._arranged()

        self.app.push_screen(Choose("Show or put away", choices), chosen)

    # The filter

    def action_filter(self) -> None:
        self._line.show(typing=True)
        self.refresh_bindings()

    def action_keep_filter(self) -> None:
        self._line.show(typing=False)
        self.refresh_bindings()

    def action_drop_filter(self) -> None:
        self._line.show(text="", typing=False)
        self._line.say("")
        self.refresh_bindings()
        self._take_filter("")

    def on_click(self, event: events.Click) -> None:
        """The filter is typed after a click on it; a click on the runs leaves it."""
        if event.widget is self._table and self._table.is_filter(event.y):
            self.action_filter()
        elif event.widget is self._table and self._line.typing:
            self.action_keep_filter()

    def _take_filter(self, text: str) -> None:
        try:
            new = RunFilter(self.app.runs, text, self._recipes) if text else None
        except UserError as error:
            self._complain(str(error))
            return
        self._complain("")
        self._filter_text, self._filter = text, new
        self.app.view.filter = text
        self._matched = frozenset()
        if not text:
            self._line.say("")
        self._show_all()

    def _complain(self, sentence: str) -> None:
        """Say what is wrong with a filter once the typing rests: half of one is not yet wrong."""
        if self._complaining is not None:
            self._complaining.stop()
        if sentence and not self._table.complains:
            self._complaining = self.set_timer(COMPLAINT_DELAY, partial(self._table.complain, sentence))
        else:
            self._table.complain(sentence)

    def _filter_in_thread(self, chosen: RunFilter) -> None:
        """Ask the run folders once the typing rests; a filter that was typed on is given up."""
        rows, searched = self.app.live.rows, self.app.live.searched

        def read() -> None:
            worker = get_current_worker()
            places = chosen.find(rows, searched, given_up=lambda: worker.is_cancelled)
            if not worker.is_cancelled:
                self.post_message(Filtered(chosen.text, frozenset(rows[place]["id"] for place in places)))

        if self._asking is not None:
            self._asking.stop()
        ask = partial(self.run_worker, read, thread=True, exclusive=True, group="filter", exit_on_error=False)
        self._asking = self.set_timer(READ_DELAY, ask)

    def on_filtered(self, message: Filtered) -> None:
        if self._filter is not None and message.text == self._filter.text and message.ids != self._matched:
            self._matched = message.ids
            self._show_matched()

    def action_back(self) -> None:
        if self._filter_text or self._line.text:
            self.action_drop_filter()
        elif self._table.marks:
            self._table.unmark()
            self._show_selected()

    # What is done to runs

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Without runs there is nothing to act on; while a filter is typed, only keys that end it count."""
        if action in self._OF_RUNS - self._WITHOUT_RUNS and self.app.live.listed and not self.app.live.rows:
            return False
        if action in self._OF_FILTER or action in self._OF_RUNS:
            return self._line.typing is (action in self._OF_FILTER)
        return super().check_action(action, parameters)

    def action_refresh(self) -> None:
        self.app.live.poke(sweep=True)

    def action_stop(self) -> None:
        rows = [row for row in self._table.chosen if row["state"] in ("queued", "running")]
        if not rows:
            self.notify("Only queued and running runs can be stopped.", severity="warning")
            return
        self.app.ask(
            f"Stop {_these(rows)}?",
            "Running ones write a checkpoint first. R resumes them.",
            yes="Stop",
            then=lambda: self._do(actions.stop, rows),
        )

    def action_compare(self) -> None:
        rows = self._table.chosen
        if self._table.marks:
            self.app.open_comparison([row["id"] for row in rows])
        elif rows:
            self.app.open_study(str(rows[0].get("study", "")), str(rows[0].get("variant", "")))

    def action_resume(self) -> None:
        self._do(actions.resume, self._table.chosen)

    def action_remove(self) -> None:
        rows = self._table.chosen
        if not rows:
            return
        active = [row for row in rows if row["state"] in ("queued", "running")]
        if active:
            first = f"{printable(active[0]['id'])} is {active[0]['state']}"
            self.notify(f"{first}; stop it first.", severity="warning", markup=False)
            return
        self.app.ask(
            f"Delete {_these(rows)}?",
            "The folders move to the trash inside the runs folder; u brings them back.",
            yes="Delete",
            then=lambda: self._remove(rows),
        )

    def _remove(self, rows: list[Row]) -> None:
        self._deleted = []
        self._do(partial(actions.remove, moved=self._deleted.append), rows)

    def action_undo(self) -> None:
        """Bring back what was deleted last."""
        if not self._deleted:
            self.notify("Nothing was deleted here since the dashboard was opened.", severity="warning")
            return
        places, self._deleted = self._deleted, []
        self.app.do(lambda: actions.restore(self.app.runs, places))

    def action_tag(self) -> None:
        rows = self._table.chosen
        if not rows:
            return
        tags = sorted({tag for row in rows for tag in row.get("tags", ())})
        about = f"They have: {' '.join(tags)}. " if tags else ""

        def given(words: str | None) -> None:
            if words and words.strip():
                self._do(partial(actions.tag, words=words), rows)

        title = f"Tags for {_these(rows)}"
        about += "+paper adds a tag, -draft takes it away. The filter finds them: tag = paper"
        self.app.push_screen(AskText(title, about=about, check=actions.parse_tags), given)

    def action_note(self) -> None:
        row = self._table.run
        if row is None:
            return

        def given(text: str | None) -> None:
            if text is not None:
                self._notes[row["id"]] = text.strip()
                self.app.do(lambda: actions.note(self.app.runs, row["id"], text))
                self._show_selected()

        self.app.push_screen(AskText("Note", text=self._notes.get(row["id"], "")), given)

    def action_write(self) -> None:
        self.app.copy_ids(self._table.chosen)

    def _do(self, act: actions.Act, rows: list[Row]) -> None:
        ids = [row["id"] for row in rows]
        self._table.unmark()
        if ids:
            self.app.do(lambda: act(self.app.runs, ids))


def _order_of(column: Column) -> str:
    return "largest first" if column.descends else "smallest first"


def _these(rows: list[Row]) -> str:
    return f"{say.name(rows[0])}, seed {rows[0].get('seed')}" if len(rows) == 1 else plural(len(rows), "run")


def _place(root: Path) -> str:
    """Return the runs folder as a person would write it."""

    whole = root.absolute()
    for base, short in ((Path.cwd(), "."), (Path.home(), "~")):
        if base in whole.parents:
            return printable(f"{short}/{whole.relative_to(base)}")
    return printable(str(whole))


build = Runs
