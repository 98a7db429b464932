"""What the poller tells the app, and the app its screens. None of them bubbles: the app passes them on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from textual.message import Message

from imbtui.tui.curves import Curves
from imbtui.tui.searched import Searched

Row = dict[str, Any]
"""A run as the index lists it, with `search`: its texts in small letters.

Running ones also carry `live` (how far they are), queued ones `why` (what they wait for).
"""


class RunsChanged(Message, bubble=False):
    """Runs came, went or changed their state.

    Attributes:
        searched: the rows' texts, for words of a filter.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        super().__init__()
        self.rows = rows
        self.searched = Searched(rows)

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, RunsChanged)


class ProgressMade(Message, bubble=False):
    """Active runs got on; the list of runs is the same."""

    def __init__(self, rows: Mapping[str, Row]) -> None:
        super().__init__()
        self.rows = rows


class RowsArrived(Message, bubble=False):
    """A run that is looked at has new metrics. Never dropped: it carries only what is new.

    Attributes:
        share: how much of the file has been read, in [0, 1].
    """

    def __init__(self, run_id: str, curves: Curves, *, restarted: bool, share: float) -> None:
        super().__init__()
        self.run_id = run_id
        self.curves = curves
        self.restarted = restarted
        self.share = share
        self.complete = share >= 1


class RowsDropped(Message, bubble=False):
    """The poller has stopped following a run; its curves begin anew when it is looked at again."""

    def __init__(self, run_id: str) -> None:
        super().__init__()
        self.run_id = run_id


class Seen(Message, bubble=False):
    """What one look of the poller has found.

    Attributes:
        parts: the messages to act on, in their order.
    """

    def __init__(self, parts: Sequence[Message]) -> None:
        super().__init__()
        self.parts = parts


class LogGrew(Message, bubble=False):
    """The log that is looked at has new lines; it carries the newest lines there are, old ones included."""

    def __init__(self, run_id: str, lines: Sequence[str]) -> None:
        super().__init__()
        self.run_id = run_id
        self.lines = lines

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, LogGrew) and message.run_id == self.run_id


class SystemGrew(Message, bubble=False):
    """The load on the machine that is looked at has new rows; it carries all rows there are."""

    def __init__(self, run_id: str, curves: Curves) -> None:
        super().__init__()
        self.run_id = run_id
        self.curves = curves

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, SystemGrew) and message.run_id == self.run_id


class MachineSeen(Message, bubble=False):
    """How busy this machine is."""

    def __init__(self, machine: Any) -> None:
        super().__init__()
        self.machine = machine

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, MachineSeen)


class QueueSeen(Message, bubble=False):
    """What runs and what waits on this machine, and how many may run at once.

    Attributes:
        lines: as `queue.view` returns them.
        settings: a `queue.Settings`.
        slots: launches on the CPU at once.
    """

    def __init__(self, lines: Sequence[Mapping[str, Any]], settings: Any, slots: int) -> None:
        super().__init__()
        self.lines = lines
        self.settings = settings
        self.slots = slots

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, QueueSeen)


class StudyChecked(Message, bubble=False):
    """A recipe that is to run was read and checked.

    Attributes:
        recipe: its name.
        request: a `submission.Request`.
        checked: a `submission.Checked`.
    """

    def __init__(self, recipe: str, request: Any, checked: Any) -> None:
        super().__init__()
        self.recipe = recipe
        self.request = request
        self.checked = checked


class Said(Message, bubble=False):
    """A sentence for the user, from work in the background."""

    def __init__(self, sentence: str, *, severity: str = "information") -> None:
        super().__init__()
        self.sentence = sentence
        self.severity = severity
