"""Runs in the order of their turn."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message

from imbtui import text
from imbtui.files import printable
from imbtui.tui import rows as say
from imbtui.tui.messages import Row
from imbtui.tui.widgets.run_lines import RunLines
from imbtui.tui.widgets.table import Column


def _where(row: Row) -> str:
    gpus = row.get("gpus") or ()
    return f"GPU {','.join(map(str, gpus))}" if gpus else say.device(row)


def _left(row: Row) -> str:
    left = say.seconds_left(row)
    return "" if left is None else text.duration(left)


COLUMNS: tuple[Column, ...] = (
    Column("turn", "turn", 4, lambda r: str(r.get("position") or ""), style="table--strong", right=True),
    Column("id", "id", 6, lambda r: printable(r["id"])[:6], style="table--quiet", needs=110),
    Column("state", "state", 7, lambda r: r["state"]),
    Column("name", "name", 0, say.name, least=10),
    Column("study", "study", 0, lambda r: printable(r.get("study", "")), style="table--quiet", needs=90),
    Column("seed", "seed", 4, lambda r: str(r.get("seed", "")), right=True),
    Column("where", "on", 7, _where, style="table--quiet"),
    Column("progress", "progress, or why it waits", 0, say.situation, least=18, fills=True),
    Column("left", "left", 11, _left, style="table--quiet", needs=100, right=True),
    Column("age", "age", 6, lambda r: text.ago(r.get("created", "")), style="table--quiet", needs=100),
)


class QueueTable(RunLines):
    """Runs under way, then those that wait. A waiting run can be given another turn."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "open", id="queue.open", tooltip="Open the selected run."),
        Binding(
            "K,shift+up",
            "shift(-1)",
            "earlier",
            id="queue.earlier",
            tooltip="Let the run start one turn earlier.",
            key_display="K",
        ),
        Binding(
            "J,shift+down",
            "shift(1)",
            "later",
            id="queue.later",
            tooltip="Let the run start one turn later.",
            key_display="J",
        ),
        Binding("space", "mark", "mark", id="queue.mark", tooltip="Mark or unmark: stop takes all marked."),
    ]

    class Shifted(Message):
        """A run was given another turn."""

        def __init__(self, run_id: str, position: int) -> None:
            super().__init__()
            self.run_id = run_id
            self.position = position

    def __init__(self) -> None:
        super().__init__(COLUMNS)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Without lines there is nothing to act on."""
        return bool(self.rows) if action in ("open", "mark", "shift") else True

    def action_shift(self, by: int) -> None:
        """Move the selected run, on the screen at once."""
        row = self.row
        waiting = [one["id"] for one in self.rows if one.get("position")]
        if row is None or row["id"] not in waiting:
            if row is not None and row["state"] == "queued":
                why = "SLURM has this run, and an order of its own."
            else:
                why = "Only a run that waits has a turn."
            self.notify(why, severity="warning")
            return
        place = waiting.index(row["id"])
        to = place + by
        if not 0 <= to < len(waiting):
            return
        waiting.insert(to, waiting.pop(place))
        turns = {run_id: turn for turn, run_id in enumerate(waiting, 1)}
        moved = [one | {"position": turns.get(one["id"])} for one in self.rows]
        self.show(sorted(moved, key=lambda one: one["position"] or 0))
        self.post_message(self.Shifted(row["id"], to + 1))
