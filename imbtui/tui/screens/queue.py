"""What runs and what waits on this machine, and the order of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Static

from imbtui.errors import UserError
from imbtui.text import plural
from imbtui.tui import actions
from imbtui.tui import rows as say
from imbtui.tui.live import Wants
from imbtui.tui.messages import ProgressMade, QueueSeen, Row
from imbtui.tui.widgets.devices import Devices
from imbtui.tui.widgets.head import Head
from imbtui.tui.widgets.key_bar import KeyBar
from imbtui.tui.widgets.queue_table import QueueTable

if TYPE_CHECKING:
    from imbtui.tui.app import ImbtuiApp

KEY = "Q"
TITLE = "Queue"

Change = Callable[[], list[tuple[str, str]]]

NOTHING = (
    "[b]Nothing runs and nothing waits.[/b]\n\n"
    "Press [b $text-accent]n[/] to choose a recipe and start one.\n\n"
    "[$text-muted]From a shell: imbtui run quickstart[/]"
)


class Written(Message, bubble=False):
    """All changes that were asked for so far are written."""


class Queue(Screen[None]):
    """Devices at the top; below them the runs under way, then those that wait, with the reason why."""

    app: ImbtuiApp
    DEFAULT_CSS = """
    Queue > #slots { height: 1; padding: 0 1; background: $surface; color: $text-muted; }
    Queue > #slots.-paused { color: $text-warning; }
    Queue > Container { height: 1fr; }
    Queue #empty { display: none; width: 1fr; height: 1fr; content-align: center middle; }
    Queue.-empty #empty { display: block; }
    Queue.-empty QueueTable { display: none; }
    """
    AUTO_FOCUS = "QueueTable"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.pop_screen", "back", id="queue.back", tooltip="Back."),
        Binding(
            "p", "pause", "pause", id="queue.pause", tooltip="Start nothing new, and go on again: all of it."
        ),
        Binding(
            "X", "stop", "stop", id="queue.stop", tooltip="Stop: a running run writes a checkpoint first."
        ),
        Binding("R", "start", "start", show=False, id="queue.resume", tooltip="See that what waits starts."),
        Binding("w", "write", "copy", show=False, id="queue.write", tooltip="Copy ids to the clipboard."),
        Binding(
            "plus,equals_sign",
            "slots(1)",
            "slots",
            key_display="+ −",
            id="queue.more",
            tooltip="One launch more at once on each GPU; without GPUs on the CPU.",
        ),
        Binding(
            "minus",
            "slots(-1)",
            "fewer",
            show=False,
            key_display="−",
            id="queue.less",
            tooltip="One launch less at once on each GPU; without GPUs on the CPU.",
        ),
        Binding(
            "right_square_bracket",
            "cpu_slots(1)",
            "more on the CPU",
            show=False,
            key_display="]",
            id="queue.more_cpu",
            tooltip="One launch more at once on the CPU.",
        ),
        Binding(
            "left_square_bracket",
            "cpu_slots(-1)",
            "fewer on the CPU",
            show=False,
            key_display="[",
            id="queue.less_cpu",
            tooltip="One launch less at once on the CPU.",
        ),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._seen: QueueSeen | None = None
        self._changes: deque[Change] = deque()
        self._writing = False

    def compose(self) -> ComposeResult:
        yield Head("Queue")
        yield Devices(cpu=True)
        yield Static(id="slots", markup=False)
        with Container():
            yield QueueTable()
            yield Static("[$text-muted]reading the queue …[/]", id="empty")
        yield KeyBar()

    def on_mount(self) -> None:
        self.add_class("-empty")

    def on_screen_resume(self) -> None:
        self.on_machine_seen()
        self.app.live.poke()

    def wants(self) -> Wants:
        """The order in which runs wait."""
        return Wants(queue=True)

    # What the poller says

    def on_queue_seen(self, message: QueueSeen) -> None:
        if self._writing:  # until a change is written, the screen knows better
            return
        self._seen = message
        self._show_all()
        self._show_devices()

    def on_progress_made(self, message: ProgressMade) -> None:
        table = self.query_one(QueueTable)
        known = {row["id"]: row for row in table.rows}
        table.update(
            {
                run_id: _line(row, known[run_id])
                for run_id, row in message.rows.items()
                if run_id in known and row["state"] == known[run_id]["state"]
            }
        )

    def on_machine_seen(self) -> None:
        head = self.query_one(Head)
        head.machine(self.app.live.machine)
        head.runs(self.app.live.counts)
        self._show_devices()

    def on_resize(self) -> None:
        self._show_devices()

    def _show_all(self) -> None:
        if self._seen is None:
            return
        rows = {row["id"]: row for row in self.app.live.rows}
        lines = [_line(rows.get(line["id"], line), line) for line in self._seen.lines]
        self.query_one(QueueTable).show(lines)
        self.set_class(not lines, "-empty")
        self.refresh_bindings()
        if not lines:
            self.query_one("#empty", Static).update(NOTHING)

    def _show_devices(self) -> None:
        machine, seen = self.app.live.machine, self._seen
        if machine is None:
            return
        self.query_one(Devices).show(machine, room=max(1, self.size.height - 10))
        if seen is not None:
            slots = self.query_one("#slots", Static)
            slots.update(_rule(seen, bool(machine.gpus)))
            slots.set_class(seen.settings.paused, "-paused")

    # What is done to it

    @on(QueueTable.Opened)
    def _opened(self, event: QueueTable.Opened) -> None:
        self.app.open_run(event.row["id"])

    @on(QueueTable.Shifted)
    def _shifted(self, event: QueueTable.Shifted) -> None:
        self._change(partial(actions.move, self.app.runs, event.run_id, event.position))

    def _change(self, change: Change) -> None:
        """Write a change after those that were asked for before: each counts from what they leave."""
        self._changes.append(change)
        self._write_changes()

    def _write_changes(self) -> None:
        if self._changes and not self._writing:
            self._writing = True
            self.run_worker(self._write, thread=True, group="changes", exit_on_error=False)

    def _write(self) -> None:
        said: list[tuple[str, str]] = []
        while self._changes:
            try:
                said += self._changes.popleft()()
            except (UserError, OSError, TimeoutError) as error:
                said.append((str(error), "error"))
        self.app.say(said)
        self.post_message(Written())

    def on_written(self) -> None:
        self._writing = False
        self._write_changes()
        self.app.live.poke()

    def action_pause(self) -> None:
        if self._seen is not None:
            paused = not self._seen.settings.paused
            self._show_settings(paused=paused, why="")
            self._change(partial(actions.pause, self.app.runs, paused=paused))

    def action_slots(self, by: int) -> None:
        machine, seen = self.app.live.machine, self._seen
        if machine is not None and not machine.gpus:
            self.action_cpu_slots(by)
        elif seen is not None and self._at_least_one(seen.settings.gpu_slots + by):
            slots = seen.settings.gpu_slots + by
            self._show_settings(gpu_slots=slots)
            self._change(partial(actions.set_slots, self.app.runs, gpu_slots=slots))

    def action_cpu_slots(self, by: int) -> None:
        seen = self._seen
        if seen is not None and self._at_least_one(seen.slots + by):
            slots = seen.slots + by
            self._show_settings(slots=slots)
            self._change(partial(actions.set_slots, self.app.runs, slots))

    def _at_least_one(self, slots: int) -> bool:
        if slots < 1:
            self.notify("At least one launch runs at once; p pauses the queue.", severity="warning")
        return slots >= 1

    def _show_settings(self, **changes: Any) -> None:
        """Show what the settings will be."""
        if self._seen is not None:
            settings = replace(self._seen.settings, **changes)
            self._seen = QueueSeen(self._seen.lines, settings, settings.slots or self._seen.slots)
            self._show_devices()

    def action_start(self) -> None:
        self._change(partial(actions.start_worker, self.app.runs))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Where nothing runs and nothing waits, there is nothing to stop."""
        return bool(self.query_one(QueueTable).rows) if action in ("stop", "write") else True

    def action_write(self) -> None:
        self.app.copy_ids(self.query_one(QueueTable).chosen)

    def action_stop(self) -> None:
        rows = self.query_one(QueueTable).chosen
        which = say.label(rows[0]) if len(rows) == 1 else plural(len(rows), "run")
        self.app.ask(
            f"Stop {which}?",
            "Running ones write a checkpoint first. R on the table of runs resumes them.",
            yes="Stop",
            then=partial(self._stop, rows),
        )

    def _stop(self, rows: Sequence[Row]) -> None:
        self.query_one(QueueTable).unmark()
        self.app.do(partial(actions.stop, self.app.runs, [row["id"] for row in rows]))


def _line(row: Mapping[str, Any], line: Mapping[str, Any]) -> Row:
    """Return a run's row with its place in the queue."""
    return {**row, "gpus": line["gpus"], "position": line["position"], "why": say.by_key(line["why"])}


def _rule(seen: QueueSeen, gpus: bool) -> str:
    """Return what the queue may do: whether it starts anything, and how much at once."""
    from imbtui.queue import paused_phrase

    on_gpus = f"{seen.settings.gpu_slots} on each GPU, " if gpus else ""
    slots = f"slots: {on_gpus}{seen.slots} on the CPU"
    if seen.settings.paused:
        return f"{paused_phrase(seen.settings)}; p goes on   {slots}"
    return slots


build = Queue
