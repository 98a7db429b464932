"""The index of runs: TinyDB as a cache of run folders that anyone may delete.

`runs/index.json` holds one short row a run, so that ten thousand runs are listed without opening ten
thousand folders. It is written only here, under a lock, and holds nothing that is not in the run folders.
It heals itself: rows of folders that are new or gone are brought up to date when it is read, a damaged
file is moved aside and rebuilt.

Changes are appended to a journal beside it, one line a row, and folded into index.json once the journal has
grown to a share of it; with a few hundred runs that is at every change. So one change among ten thousand
runs costs as little as one among ten. A reader applies the journal to index.json; folding writes index.json
first and empties the journal after, and applying a row twice changes nothing.
"""

from __future__ import annotations

import json
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
        isinstance(rows, dict) and all(isinstance(row, dict) and "id" in row for row in rows.values())
        for rows in tables.values()
    )


class UncachedTable(Table):
    """A table whose query cache is off: another process may have written since."""

    def __init__(self, storage: Storage, name: str) -> None:
        # Only the constructor's argument turns the cache off; a class attribute has no effect.
        super().__init__(storage, name, cache_size=0)


class RunsDB(TinyDB):
    table_class = UncachedTable  # type: ignore[assignment]


def row_of(view: store.RunView) -> dict[str, Any]:
    """Return the listing fields of a run, about 300 bytes."""
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
        "reason": view.reason[:120],
        "point": dict(view.point),
        "tags": list(view.tags),
        "here": view.here,
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
        journal = files.LineWriter(runs.index_journal)
        try:
            for run_id in ids:
                run = runs.run(run_id)
                entry = row_of(store.read(run)) if run.root.is_dir() else {"id": run_id, "gone": True}
                journal.append(_encode(entry))
            size = journal.size()
        finally:
            journal.close()
        folded = runs.index.stat().st_size if runs.index.exists() else 0
        if size > FOLD_SHARE * folded or folded < FOLD_BELOW:
            _fold(runs)


def rebuild(runs: RunsPaths) -> int:
    """Write the index anew from the run folders and return how many runs it holds."""
    with files.locked(runs.index_lock):
        rows = [row_of(store.read(runs.run(i))) for i in store.list_ids(runs)]
        files.write_atomic(runs.index, _encode({TABLE: {str(n): row for n, row in enumerate(rows, 1)}}))
        files.write_atomic(runs.index_journal, b"")
    return len(rows)


def query(runs: RunsPaths, *, warn: Callable[[str], None] = lambda sentence: None) -> list[dict[str, Any]]:
    """Return a row for every run, newest first, states of active runs computed now.

    A damaged index is moved aside and rebuilt; in a folder that cannot be written to, rows come from
    the run folders themselves.

    Args:
        warn: told a sentence about anything that had to be repaired.
    """
    if not runs.root.is_dir():
        return []
    rows = _read(runs, warn)
    if rows is None:
        rows = [row_of(store.read(runs.run(i))) for i in store.list_ids(runs)]
    for position, row in enumerate(rows):
        if row["state"] in store.ACTIVE:
            rows[position] = row_of(store.read(runs.run(row["id"])))
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


def _read(runs: RunsPaths, warn: Callable[[str], None]) -> list[dict[str, Any]] | None:
    """Return all rows after healing, or None where the index can neither be used nor repaired."""
    try:
        try:
            rows = _rows(runs)
        except Damaged as error:
            aside = _set_aside(runs)
            warn(
                f"the index was damaged ({error}); "
                f"it was moved to {aside.name} and rebuilt from the run folders"
            )
            rebuild(runs)
            rows = _rows(runs)
        present = set(store.list_ids(runs))
        if rows.keys() != present:
            sync(runs, rows.keys() ^ present)
            rows = _rows(runs)
    except (OSError, TimeoutError):
        return None
    return list(rows.values())


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
        if isinstance(entry, dict) and "id" in entry:
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
