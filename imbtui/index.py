"""The index of runs: TinyDB as a cache of run folders that anyone may delete.

`runs/index.json` holds one short row a run, so that ten thousand runs are listed without opening ten
thousand folders. It is written only here, under a lock, as a whole; it holds nothing that is not in the
run folders, and heals itself: rows of folders that are new or gone are brought up to date when it is read.
"""

from __future__ import annotations

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
            tables = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise Damaged(str(error)) from error
        if not _is_index(tables):
            raise Damaged("it is not a table of runs")
        return tables

    def write(self, data: Mapping[str, Any]) -> None:
        """Replace the file."""
        files.write_atomic(self._path, orjson.dumps(data, option=orjson.OPT_NON_STR_KEYS))


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
    """
    with files.locked(runs.index_lock):
        _heal_file(runs)
        _update(runs, ids)


def rebuild(runs: RunsPaths) -> int:
    """Write the index anew from the run folders and return how many runs it holds."""
    with files.locked(runs.index_lock):
        rows = [row_of(store.read(runs.run(i))) for i in store.list_ids(runs)]
        files.write_atomic(runs.index, orjson.dumps({TABLE: {str(n): row for n, row in enumerate(rows, 1)}}))
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
        known = {row["id"] for row in rows}
        present = set(store.list_ids(runs))
        if known != present:
            sync(runs, known ^ present)
            rows = _rows(runs)
    except (OSError, TimeoutError):
        return None
    return rows


def _rows(runs: RunsPaths) -> list[dict[str, Any]]:
    tables = ReplacingStorage(runs.index).read() or {}
    return list(tables.get(TABLE, {}).values())


def _heal_file(runs: RunsPaths) -> None:
    try:
        ReplacingStorage(runs.index).read()
    except Damaged:
        _set_aside(runs)


def _set_aside(runs: RunsPaths) -> Path:
    aside = runs.root / f".index-damaged-{time.time_ns():x}.json"
    runs.index.replace(aside)
    return aside


def _update(runs: RunsPaths, ids: Iterable[str] | None) -> None:
    """Change rows in one read and one write, through TinyDB, inside the lock."""
    present = set(store.list_ids(runs))
    with RunsDB(storage=ReplacingStorage, path=runs.index) as db:
        table = db.table(TABLE)

        def change(rows: dict[int, Any]) -> None:
            where = {row["id"]: number for number, row in rows.items()}
            for run_id in set(ids) if ids is not None else present | set(where):
                if run_id not in present:
                    if run_id in where:
                        del rows[where[run_id]]
                    continue
                number = where.get(run_id)
                if number is None:
                    number = max(rows, default=0) + 1
                rows[number] = Document(row_of(store.read(runs.run(run_id))), number)

        table._update_table(change)
