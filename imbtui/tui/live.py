"""The one poller: what changed on disk, seen twice a second from a thread and told as messages.

Files are the truth and other processes write them, so they are looked at: a `stat` of the index, of the
active runs' state files and of the files that are on the screen; everything else is read only when one of
those moved. Watching through the kernel would be silent on network disks and save nothing at these costs.

The thread keeps its own time and wakes the screen only when there is something to tell, with all that one
look has found in one message: with eight live runs, half of what an idle dashboard cost was threads waking
each other.
"""

from __future__ import annotations

import contextlib
import gc
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imbtui import files, shapes
from imbtui.files import printable
from imbtui.paths import RunsPaths
from imbtui.tui import rows as say
from imbtui.tui.curves import Curves, Reader
from imbtui.tui.machine import MachineReader
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
    SystemGrew,
)
from imbtui.tui.places import Places
from imbtui.tui.searched import Searched

if TYPE_CHECKING:
    from textual.app import App
    from textual.message import Message

    from imbtui.processes import Identity

BEAT = 0.5  # seconds between looks
STEADY_BEAT = 1.0  # seconds between looks at what only goes on: progress in the list, curves beside it
SLOW_BEAT = 2.0  # seconds between looks at what costs more: processes, folder listing, machine
FOLLOWED = 24  # runs whose curves are kept
LOG_LINES = 2000
CHUNK = 1 << 22  # bytes of metrics parsed between two messages
TAIL = 1 << 17  # bytes at the end of a running run's metrics that its listing row is made from

Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class Wants:
    """What a screen shows beside the list of runs.

    Attributes:
        curves: ids of the runs whose metrics it draws.
        log: id of the run whose log it shows.
        queue: whether it shows the order in which runs wait.
        system: id of the run of which it shows how busy the machine was.
        beside: whether the curves stand beside something else, so that they need not grow at every look.
    """

    curves: frozenset[str] = frozenset()
    log: str | None = None
    queue: bool = False
    system: str | None = None
    beside: bool = False


@dataclass
class _Active:
    """What is known of a queued or running run beside its row."""

    states: tuple[Path, ...]
    folders: tuple[Path, ...]
    stamps: dict[bool, tuple[Stamp, ...]] = field(default_factory=dict)
    ranks: Sequence[Identity] = ()
    tail: files.Tail | None = None
    reader: Reader = field(default_factory=Reader)
    env: dict[str, Any] = field(default_factory=dict)
    row: dict[str, Any] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)
    began: dict[str, Any] = field(default_factory=dict)

    def moved(self, *, closely: bool) -> bool:
        """Whether the run's state may be another than at the look before.

        Files that are replaced move the stamp of their folder, which is half the looking; but not twice
        within a tick of the clock, so that the files themselves are looked at now and then (`closely`).
        """
        stamps = tuple(map(_stamp, self.states if closely else self.folders))
        before, self.stamps[closely] = self.stamps.get(closely), stamps
        return stamps != before


@dataclass
class _Followed:
    """A metrics file that is drawn."""

    tail: files.Tail
    reader: Reader = field(default_factory=Reader)
    started: bool = False


class Poller:
    """Looks at a runs folder; each look says what is new. One thread at a time may use it.

    Args:
        runs: the runs folder.
        tell: takes each message.
    """

    def __init__(self, runs: RunsPaths, tell: Callable[[Message], object]) -> None:
        self._runs = runs
        self._tell = tell
        self._rows: dict[str, Row] = {}
        self._index: tuple[int, ...] = ()
        self._folder: Stamp = (-1, 0, 0)
        self._active: dict[str, _Active] = {}
        self._followed: dict[str, _Followed] = {}
        self._log: tuple[str, files.Tail, deque[str]] | None = None
        self._queue: tuple[Any, ...] | None = None
        self._system: tuple[str, _Followed, Curves] | None = None
        self._machine = MachineReader(runs)
        self._slow = self._steady = float("-inf")
        self._knobs: dict[str, Any] = {}
        self._groups: dict[str, tuple[str, str]] = {}
        self._told: dict[str, str] = {}
        self._named: dict[str, str] = {}
        self._waiting: Mapping[str, str] = {}
        self._otherwise = ""
        self._worker_lives = False
        self._unreadable: set[Path] = set()

    def look(self, wants: Wants, *, sweep: bool = False, steady: float = 0.0) -> bool:
        """Tell what changed.

        Args:
            wants: what is on the screen.
            sweep: read every run folder again, whatever the index says.
            steady: seconds between looks at what only goes on.

        Returns:
            Whether more is waiting to be read at once.
        """
        now = time.monotonic()
        slow = sweep or now - self._slow >= SLOW_BEAT
        if slow:
            self._slow = now
        goes_on = now - self._steady >= steady
        if goes_on:
            self._steady = now
        if sweep:
            from imbtui import index

            with contextlib.suppress(OSError, TimeoutError):  # a folder that cannot be written to
                index.sync(self._runs)
            self._index = ()
        if self._list_moved(slow):
            self._read_list()
        else:
            self._look_at_active(slow=slow, goes_on=goes_on)
        if slow:
            running = [i for i in self._active if self._rows[i]["state"] == "running"]
            self._tell(MachineSeen(self._machine.read(running)))
        self._read_queue(wants.queue, slow)
        self._read_log(wants.log)
        self._read_system(wants.system)
        known = self._followed.keys() if wants.beside and not goes_on else ()
        return self._read_curves(wants.curves.difference(known))

    # The list

    def _list_moved(self, slow: bool) -> bool:
        from imbtui import index

        stamp = index.stamp(self._runs)
        if stamp != self._index:
            return True
        if not slow:
            return False
        # Somebody may have removed or copied folders by hand; other files in there move the stamp too.
        folder = _stamp(self._runs.root)
        if folder == self._folder:
            return False
        from imbtui import store

        self._folder = folder
        return set(store.list_ids(self._runs)) != set(self._rows)

    def _read_list(self) -> None:
        from imbtui import index, store

        self._folder = _stamp(self._runs.root)
        self._index = index.stamp(self._runs)
        rows = index.query(self._runs, warn=self._warn)
        self._index = index.stamp(self._runs)
        self._rows = {row["id"]: self._dressed(row) for row in rows}
        active = [row for row in self._rows.values() if row["state"] in store.ACTIVE]
        self._active = {row["id"]: self._active.get(row["id"]) or self._new(row["id"]) for row in active}
        self._reasons(active)
        for row in active:
            self._enrich(row["id"])
        # The list stays: a collection that walks through all of it would hold up a key now and then.
        gc.collect(1)
        gc.freeze()
        self._tell(RunsChanged(tuple(self._rows.values())))

    def _new(self, run_id: str) -> _Active:
        run = self._runs.run(run_id)
        return _Active((run.state, run.result, run.submit, run.ranks), (run.root, run.ranks))

    def _dressed(self, row: Row) -> Row:
        """Return a row with what the screens would otherwise make of it at every key."""
        knobs = row.get("knobs")
        if knobs:  # most runs share theirs with others, and their texts: one copy of each is kept
            key = str(knobs)
            row["knobs"] = self._knobs.setdefault(key, knobs)
            row["told"] = self._told.get(key) or self._told.setdefault(key, say.knobs(row))
        study, arm = say.group_keys(row)
        groups = self._groups.setdefault(arm, (self._groups.setdefault(study, (study, ""))[0], arm))
        named = self._named.get(arm) if row.get("study") else say.name(row)
        named = named or self._named.setdefault(arm, say.name(row))
        return row | {"search": say.searchable(row), "groups": groups, "named": named}

    def _warn(self, sentence: str) -> None:
        self._tell(Said(sentence, severity="warning"))

    def _look_at_active(self, *, slow: bool, goes_on: bool) -> None:
        from imbtui import index, store

        moved: set[str] = set()
        changed = False
        if slow:
            self._reasons([self._rows[i] for i in self._active])
        for run_id, known in list(self._active.items()):
            run, row = self._runs.run(run_id), self._rows[run_id]
            # A process that was killed leaves no trace in files: running ones are asked after.
            if known.moved(closely=slow) or (
                slow and row["state"] == "running" and not any(rank.alive() for rank in known.ranks)
            ):
                view = store.read(run)
                known.ranks = store.registered(run, view.attempt)
                fresh = index.row_of(view)
                if any(row.get(key) != value for key, value in fresh.items()):
                    changed |= fresh["state"] != row["state"] or fresh["attempt"] != row["attempt"]
                    extra = {key: row[key] for key in ("live", "why") if key in row}
                    fresh = self._dressed(fresh)
                    self._rows[run_id] = fresh | (extra if fresh["state"] == row["state"] else {})
                    moved.add(run_id)
                    if fresh["state"] not in store.ACTIVE:
                        del self._active[run_id]
            if (goes_on or run_id in moved) and self._enrich(run_id):
                moved.add(run_id)
        if changed:
            self._tell(RunsChanged(tuple(self._rows.values())))
        elif moved:
            self._tell(ProgressMade({run_id: self._rows[run_id] for run_id in moved}))

    def _reasons(self, active: list[Row]) -> None:
        """Learn why each queued run waits. It asks for the worker's lock: not at every beat."""
        if not any(row["state"] == "queued" for row in active):
            return
        from imbtui import queue
        from imbtui.worker import lock

        self._worker_lives = lives = lock.held(self._runs)
        report = lock.report(self._runs).get("waiting") if lives else None
        self._waiting = report if isinstance(report, dict) else {}
        self._otherwise = queue.default_reason(queue.settings(self._runs), lives)

    def _enrich(self, run_id: str) -> bool:
        """Add to an active run's row what the index does not hold; return whether anything is new."""
        row = self._rows[run_id]
        addition: Row | None = None
        if row["state"] == "queued":
            from imbtui import queue, store

            why = queue.reason_of(
                str(self._waiting.get(run_id) or ""),
                str(row.get("reason") or ""),
                otherwise=self._otherwise,
                followed=row.get("device") != store.SLURM or self._worker_lives,
                here=bool(row.get("here")),
            )
            why = say.by_key(why)
            addition = {"why": why} if why != row.get("why") else None
        elif row["state"] == "running" and run_id in self._active:
            addition = self._progress(row, self._active[run_id])
        if addition is None:
            return False
        # Rows that were told of belong to the other thread: a new one takes the old one's place.
        self._rows[run_id] = row | addition
        return True

    def _progress(self, row: Row, known: _Active) -> Row | None:
        run = self._runs.run(row["id"])
        if known.tail is None:
            known.tail = files.Tail(run.metrics, offset=max(0, _stamp(run.metrics)[2] - TAIL))
        new = known.reader.read(self._lines(known.tail))
        known.row = new.row or known.row
        known.began = new.began or known.began
        known.last |= new.last
        if not known.env:
            known.env = shapes.cleaned(files.read_json(run.env), shapes.ENV)
            if not known.env:
                return None
        elif not new.row and "live" in row:
            return None
        steps, per_epoch = known.env.get("steps") or 0, known.env.get("steps_per_epoch") or 1
        step, seconds = known.row.get("step", 0), known.row.get("time", 0.0)
        done, took = step - known.began.get("step", 0), seconds - known.began.get("time", 0.0)
        return {
            "live": {
                "stage": known.row.get("stage", ""),
                "step": step,
                "steps": steps,
                "epoch": known.row.get("epoch", 0),
                "epochs": steps / per_epoch,
                "share": min(1.0, step / steps) if steps else 0.0,
                "left": (steps - step) * took / done if done > 0 and took > 0 else None,
                "device": known.env.get("device", ""),
                "metrics": dict(known.last),
            }
        }

    # What is on the screen

    def _read_curves(self, wanted: frozenset[str]) -> bool:
        more = False
        for run_id in wanted:
            followed = self._followed.pop(run_id, None) or _Followed(
                files.Tail(self._runs.run(run_id).metrics)
            )
            self._followed[run_id] = followed  # the newest stands last
            lines = self._lines(followed.tail, CHUNK)
            restarted = followed.tail.restarted or not followed.started
            if followed.tail.restarted:
                followed.reader = Reader()
            if not lines and not restarted:
                continue
            size = 0 if followed.tail.path in self._unreadable else _stamp(followed.tail.path)[2]
            share = followed.tail.offset / size if followed.tail.offset < size else 1.0
            followed.started = True
            new = followed.reader.read(lines)
            more |= share < 1
            self._tell(RowsArrived(run_id, new, restarted=restarted, share=share))
        for run_id in list(self._followed)[:-FOLLOWED]:
            if run_id not in wanted:
                del self._followed[run_id]
                self._tell(RowsDropped(run_id))
        return more

    def _lines(self, tail: files.Tail, limit: int = 1 << 24) -> list[bytes]:
        """Return the new lines of a file. One that cannot be read has none, which is said once."""
        try:
            lines = tail.read(limit)
        except OSError as error:
            if tail.path not in self._unreadable:
                self._unreadable.add(tail.path)
                place = printable(f"{tail.path.parent.name}/{tail.path.name}")
                self._warn(f"{place} cannot be read: {error.strerror}")
            return []
        self._unreadable.discard(tail.path)
        return lines

    def _read_queue(self, wanted: bool, slow: bool) -> None:
        if not wanted:
            self._queue = None
            return
        stamp = (_stamp(self._runs.queue), *(dict(known.stamps) for known in self._active.values()))
        if slow or stamp != self._queue:
            from imbtui import queue

            self._queue = stamp
            chosen = queue.settings(self._runs)
            lines = queue.view(self._runs, list(self._active))
            self._tell(QueueSeen(lines, chosen, chosen.slots or queue.default_slots()))

    def _read_system(self, run_id: str | None) -> None:
        if run_id is None:
            self._system = None
            return
        if self._system is None or self._system[0] != run_id:
            self._system = (run_id, _Followed(files.Tail(self._runs.run(run_id).system)), Curves())
        _, followed, known = self._system
        new = followed.reader.read(self._lines(followed.tail))
        if new.row or not followed.started:
            followed.started = True
            # What was told of belongs to the other thread.
            whole = Curves()
            whole.extend(known)
            whole.extend(new)
            self._system = (run_id, followed, whole)
            self._tell(SystemGrew(run_id, whole))

    def _read_log(self, run_id: str | None) -> None:
        if run_id is None:
            self._log = None
            return
        path = self._runs.run(run_id).log
        if self._log is None or self._log[0] != run_id:
            # A log can be long: begin where its last lines are.
            start = max(0, _stamp(path)[2] - 200 * LOG_LINES)
            self._log = (run_id, files.Tail(path, offset=start), deque(maxlen=LOG_LINES))
            self._tell(LogGrew(run_id, ()))
        _, tail, kept = self._log
        lines = self._lines(tail)
        if tail.restarted:
            kept.clear()
        if lines:
            from imbtui.text import log_line

            kept.extend(log_line(line.decode("utf-8", "replace")) for line in lines)
            self._tell(LogGrew(run_id, tuple(kept)))


class Live:
    """The poller's place in the app: its clock, and what is known now.

    Attributes:
        rows: all runs, newest first, as of the newest message.
        counts: how many of them are in which state.
        searched: the texts of these rows.
        machine: the newest reading; None before the first.
        listed: whether the list of runs has been read.
    """

    def __init__(self, app: App[Any], runs: RunsPaths) -> None:
        self.rows: list[Row] = []
        self.counts: Counter[str] = Counter()
        self._places = Places(self.rows)
        self.searched = Searched(())
        self.machine: Any = None
        self.listed = False
        self.curves: dict[str, Curves] = {}
        self.complete: set[str] = set()
        self.share: dict[str, float] = {}
        self._active: dict[str, int] = {}
        self._app = app
        self._runs = runs
        self._poked = threading.Event()
        self._taken = threading.Event()
        self._sweep = threading.Event()
        self._over = False

    def start(self) -> None:
        """Look now, and then at every beat, in a thread that ends with the app."""
        threading.Thread(target=self._watch, name="poller", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._over = True
        self._taken.set()
        self._poked.set()

    def poke(self, *, sweep: bool = False) -> None:
        """Look as soon as possible: something changed, or other runs are on the screen."""
        if sweep:
            self._sweep.set()
        self._poked.set()

    def taken(self) -> None:
        """What was told last has been dealt with: no look comes before it, however long a screen takes."""
        self._taken.set()

    def _watch(self) -> None:
        told: list[Message] = []
        poller = Poller(self._runs, told.append)
        trouble = ""
        while not self._over:
            self._poked.clear()
            sweep = self._sweep.is_set()
            if sweep:
                self._sweep.clear()
            more, trouble_before, trouble = False, trouble, ""
            try:
                more = poller.look(self._wants(), sweep=sweep, steady=STEADY_BEAT)
            except Exception as error:
                # The dashboard stays up whatever a disk or a damaged file does, and says what happened, once.
                trouble = f"looking at the runs failed: {type(error).__name__}: {error}"
                if trouble != trouble_before:
                    told.append(Said(trouble, severity="error"))
            if told:
                self._taken.clear()
                try:
                    if self._over or not self._app.post_message(Seen(tuple(told))):
                        return
                except RuntimeError:  # the app has ended between the two
                    return
                told.clear()
                self._taken.wait()
            if not more:
                self._poked.wait(BEAT)

    def _wants(self) -> Wants:
        """Return what the screen shows, also below a dialog.

        `wants` of a screen is called from the poller's thread.
        """
        screen = next((one for one in reversed(self._app.screen_stack) if not one.is_modal), None)
        return screen.wants() if screen is not None and hasattr(screen, "wants") else Wants()

    # The app passes its messages through here before the screens see them.

    def take_rows(self, message: RunsChanged) -> list[Row]:
        """Keep the new list and return the runs that ended since the one before."""
        from imbtui.store import ACTIVE

        were = set(self._active)
        self.rows, self.searched = list(message.rows), message.searched
        self.counts, self._places = Counter(row["state"] for row in self.rows), Places(self.rows)
        self._active = {row["id"]: place for place, row in enumerate(self.rows) if row["state"] in ACTIVE}
        self.listed = True
        return [row for row in self.rows if row["id"] in were and row["state"] not in ACTIVE]

    def row(self, run_id: str) -> Row | None:
        """Return a run's row; None: there is no such run."""
        place = self._places.get(run_id)
        return None if place is None else self.rows[place]

    @property
    def active(self) -> dict[str, Row]:
        """The queued and running runs by id."""
        return {run_id: self.rows[place] for run_id, place in self._active.items()}

    def take_progress(self, message: ProgressMade) -> None:
        """Keep the rows of active runs."""
        for run_id, row in message.rows.items():
            if run_id in self._active:
                self.rows[self._active[run_id]] = row

    def take_curves(self, message: RowsArrived) -> None:
        """Append to a run's curves."""
        if message.restarted or message.run_id not in self.curves:
            self.curves[message.run_id] = Curves()
        self.curves[message.run_id].extend(message.curves)
        self.share[message.run_id] = message.share
        if message.complete:
            self.complete.add(message.run_id)

    def drop_curves(self, message: RowsDropped) -> None:
        """Forget a run's curves: it has not been looked at for long."""
        self.curves.pop(message.run_id, None)
        self.complete.discard(message.run_id)
        self.share.pop(message.run_id, None)


def _stamp(path: Path) -> Stamp:
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return (status.st_ino, status.st_mtime_ns, status.st_size)
