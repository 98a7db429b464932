"""The index of runs: TinyDB as a cache of run folders that anyone may delete.

`runs/index.json` holds one short row a run, so that ten thousand runs are listed without opening ten
thousand folders. It is written only here, under a lock, and holds nothing that is not in the run folders.
It heals itself: every file of a run that a row is made of is replaced as a whole, which changes the time
stamp of the run's folder; a row keeps that stamp, and one whose folder shows another is read anew. So an
index that lost a change, or was never told of it, lists what the folders say. A damaged file is moved aside
and rebuilt.

Changes are appended to a journal beside it, one line a row, and folded into index.json once the journal has
grown to a share of it; with a few hundred runs that is at every change. So one change among ten thousand
runs costs as little as one among ten. A reader applies the journal to index.json; folding writes index.json
first and empties the journal after, and applying a row twice changes nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson
from tinydb import TinyDB
from tinydb.storages import Storage
from tinydb.table import Document, Table

from imbtui import files, store
from imbtui.paths import RunsPaths

TABLE = "runs"
LISTED_METRICS = (
    "test/accuracy",
    "test/balanced_accuracy",
    "test/few_accuracy",
    "val/accuracy",
    "train/loss",
)
# The journal is folded once it is larger than this share of the index, and always while the index is small.
FOLD_SHARE = 0.25
FOLD_BELOW = 1 << 17
# A row's key for its folder's time stamp (ns); LOOK: the row is read anew each time.
SEEN = "seen"
LOOK = 0
# A folder may change again without a new stamp for as long as a tick of its file system's clock.
LONGEST_TICK = 2_000_000_000  # ns


class Damaged(Exception):
    """The index file is not what this module writes."""


class ReplacingStorage(Storage):
    """A TinyDB storage that replaces its file atomically and reads it afresh every time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, dict[str, Any]] | None:
        """Return all tables, or None when there is no file yet.

        Raises:
            Damaged: the file is not an index.
        """
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            tables = _decode(data)
        except ValueError as error:
            raise Damaged(str(error)) from error
        if not _is_index(tables):
            raise Damaged("it is not a table of runs")
        return tables

    def write(self, data: Mapping[str, Any]) -> None:
        """Replace the file."""
        files.write_atomic(self._path, _encode(data))


def _encode(document: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        # A folder's name that is not UTF-8 arrives as half characters, which only the escaped form can hold.
        return json.dumps(document, ensure_ascii=True).encode()


def _decode(data: bytes) -> Any:
    """Return a JSON document.

    Raises:
        ValueError: it is none.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return json.loads(data)


def _is_index(tables: Any) -> bool:
    return isinstance(tables, dict) and all(
        isinstance(rows, dict) and all(number.isdecimal() and _is_row(row) for number, row in rows.items())
        for rows in tables.values()
    )


def _is_row(row: Any) -> bool:
    return isinstance(row, dict) and isinstance(row.get("id"), str)


class UncachedTable(Table):
    """A table whose query cache is off: another process may have written since."""

    def __init__(self, storage: Storage, name: str) -> None:
        # Only the constructor's argument turns the cache off; a class attribute has no effect.
        super().__init__(storage, name, cache_size=0)


class RunsDB(TinyDB):
    table_class = UncachedTable  # type: ignore[assignment]


def row_of(view: store.RunView) -> dict[str, Any]:
    """Return the listing fields of a run, about 500 bytes."""
    row: dict[str, Any] = {
        "id": view.id,
        "state": view.state,
        "study": view.study,
        "variant": view.variant,
        "arm": view.arm,
        "seed": view.seed,
        "digest": view.digest,
        "order": view.order,
        "created": view.created,
        "attempt": view.attempt,
    }
    optional = {
        "title": view.title,
        "reason": view.reason[:120],
        "point": dict(view.point),
        "tags": list(view.tags),
        "here": view.here,
        "knobs": dict(view.knobs),
        "device": view.device,
        "seconds": None if view.seconds is None else round(view.seconds, 2),
        "metrics": {k: view.metrics[k] for k in LISTED_METRICS if k in view.metrics},
        "best": {k: view.best[k] for k in (*LISTED_METRICS, "selected_on") if k in view.best},
    }
    return row | {key: value for key, value in optional.items() if value}


def sync(runs: RunsPaths, ids: Iterable[str] | None = None) -> None:
    """Bring rows up to date with their folders, all of them when `ids` is None.

    Raises:
        OSError: the runs folder cannot be written to; the index is then as it was.
        TimeoutError: another process holds the index for half a minute.
    """
    if ids is None:
        rebuild(runs)
        return
    with files.locked(runs.index_lock):
        _append(runs, (_entry(runs, run_id) for run_id in ids))


def rebuild(runs: RunsPaths) -> int:
    """Write the index anew from the run folders and return how many runs it holds."""
    with files.locked(runs.index_lock):
        return len(_rebuild(runs))


def query(runs: RunsPaths, *, warn: Callable[[str], None] = lambda sentence: None) -> list[dict[str, Any]]:
    """Return a row for every run, newest first, as the run folders are now.

    Rows that lack or are out of date are read from their folders, and written down where that is possible
    at once. A damaged index is moved aside and rebuilt.

    Args:
        warn: told a sentence about anything that had to be repaired.
    """
    if not runs.root.is_dir():
        return []
    folders = _folders(runs)
    known = _known(runs, warn)
    rows: list[dict[str, Any]] = []
    news = [{"id": run_id, "gone": True} for run_id in known.keys() - folders.keys()]
    for run_id, changed in folders.items():
        row = known.get(run_id)
        if row is None or row.get(SEEN) != changed:
            before, row = row, _entry(runs, run_id)
            if before is None or (row[SEEN] != LOOK and row != before):
                news.append(row)
        if "gone" not in row:
            rows.append(row)
    if news:
        # A reader that finds the index busy or not writable has what it came for all the same.
        with contextlib.suppress(OSError, TimeoutError), files.locked(runs.index_lock, timeout=0):
            _append(runs, news)
    for row in rows:
        row.pop(SEEN, None)
    return sorted(rows, key=lambda row: (row.get("order", 0), row["id"]), reverse=True)


def stamp(runs: RunsPaths) -> tuple[int, ...]:
    """Return numbers that change whenever the index does: what a poller looks at."""
    found: list[int] = []
    for path in (runs.index, runs.index_journal):
        try:
            status = path.stat()
        except OSError:
            found += [0, 0, 0]
        else:
            found += [status.st_ino, status.st_size, status.st_mtime_ns]
    return tuple(found)


def _folders(runs: RunsPaths) -> dict[str, int]:
    """Return the run folders by id, with their time stamps."""
    found = {}
    with contextlib.suppress(FileNotFoundError), os.scandir(runs.root) as entries:
        for entry in entries:
            if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                with contextlib.suppress(OSError):
                    found[entry.name] = entry.stat(follow_symlinks=False).st_mtime_ns
    return found


def _entry(runs: RunsPaths, run_id: str) -> dict[str, Any]:
    """Return a run's row as its folder tells it now, or that it is gone."""
    run = runs.run(run_id)
    try:
        seen = run.root.stat().st_mtime_ns  # before anything is read
    except OSError:
        return {"id": run_id, "gone": True, SEEN: LOOK}
    view = store.read(run)
    # What a process does to a run that it has begun or is about to begin leaves the stamp as it is.
    lasts = view.state not in store.ACTIVE or (view.state == "queued" and not view.started)
    settled = time.time_ns() - seen > LONGEST_TICK
    return row_of(view) | {SEEN: seen if lasts and settled else LOOK}


def _append(runs: RunsPaths, entries: Iterable[Mapping[str, Any]]) -> None:
    """Write rows to the journal and fold it where it is long; inside the lock."""
    journal = files.LineWriter(runs.index_journal)
    try:
        for entry in entries:
            journal.append(_encode(entry))
        size = journal.size()
    finally:
        journal.close()
    folded = runs.index.stat().st_size if runs.index.exists() else 0
    if size > FOLD_SHARE * folded or folded < FOLD_BELOW:
        _fold(runs)


def _rebuild(runs: RunsPaths) -> dict[str, dict[str, Any]]:
    """Write the index anew and return its rows; inside the lock."""
    rows = [_entry(runs, run_id) for run_id in _folders(runs)]
    rows = [row for row in rows if "gone" not in row]
    files.write_atomic(runs.index, _encode({TABLE: {str(n): row for n, row in enumerate(rows, 1)}}))
    files.write_atomic(runs.index_journal, b"")
    return {row["id"]: row for row in rows}


def _known(runs: RunsPaths, warn: Callable[[str], None]) -> dict[str, dict[str, Any]]:
    """Return the rows that the index holds, by id; none where it can neither be read nor repaired."""
    try:
        return _rows(runs)
    except OSError:
        return {}
    except Damaged:
        pass
    try:
        with files.locked(runs.index_lock):
            try:
                return _rows(runs)  # another reader has repaired it meanwhile
            except Damaged as error:
                aside = _set_aside(runs)
                warn(
                    f"the index was damaged ({error}); "
                    f"it was moved to {aside.name} and rebuilt from the run folders"
                )
                return _rebuild(runs)
    except (OSError, TimeoutError):
        return {}


def _rows(runs: RunsPaths) -> dict[str, dict[str, Any]]:
    """Return all rows by id: index.json with the journal applied."""
    while True:
        # The journal first: were it read after a fold, what had been folded meanwhile would be missed.
        before = runs.index.stat().st_ino if runs.index.exists() else None
        changes = _changes(runs)
        tables = ReplacingStorage(runs.index).read()
        after = runs.index.stat().st_ino if runs.index.exists() else None
        if before == after:
            break
    rows = {row["id"]: row for row in (tables or {}).get(TABLE, {}).values()}
    for entry in changes:
        if entry.get("gone"):
            rows.pop(entry["id"], None)
        else:
            rows[entry["id"]] = entry
    return rows


def _changes(runs: RunsPaths) -> list[dict[str, Any]]:
    """Return the journal's entries in order; a torn line is passed over (its run's folder knows better)."""
    try:
        lines = runs.index_journal.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    entries = []
    for line in lines:
        try:
            entry = _decode(line)
        except ValueError:
            continue
        if _is_row(entry):
            entries.append(entry)
    return entries


def _fold(runs: RunsPaths) -> None:
    """Move the journal's rows into index.json, through TinyDB, inside the lock."""
    changes = {entry["id"]: entry for entry in _changes(runs)}
    try:
        ReplacingStorage(runs.index).read()
    except Damaged:
        _set_aside(runs)
    with RunsDB(storage=ReplacingStorage, path=runs.index) as db:
        table = db.table(TABLE)

        def change(rows: dict[int, Any]) -> None:
            where = {row["id"]: number for number, row in rows.items()}
            following = max(rows, default=0) + 1
            for run_id, entry in changes.items():
                if entry.get("gone"):
                    rows.pop(where.get(run_id, 0), None)
                    continue
                number = where.get(run_id, following)
                following += number == following
                rows[number] = Document(entry, number)

        table._update_table(change)
    files.write_atomic(runs.index_journal, b"")


def _set_aside(runs: RunsPaths) -> Path:
    aside = runs.root / f".index-damaged-{time.time_ns():x}.json"
    runs.index.replace(aside)
    return aside
