"""The index whatever becomes of its writers and of its bytes: it lists what the run folders say."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from imbtui import files, folders, index, store
from imbtui.paths import RunPaths, RunsPaths

MakeRuns = Callable[..., list[RunPaths]]


def truth(runs: RunsPaths) -> list[dict[str, Any]]:
    """The rows as the run folders tell them, newest first."""
    rows = [index.row_of(store.read(runs.run(run_id))) for run_id in store.list_ids(runs)]
    return sorted(rows, key=lambda row: row["order"], reverse=True)


@pytest.fixture
def some(runs: RunsPaths, make_runs: MakeRuns) -> RunsPaths:
    """Six runs that ended in different ways, all of them in the index."""
    for number, how in enumerate(("finished", "stopped", "failed", "crashed", "finished", "stopped")):
        (run,) = make_runs(f"split_seed={number}")
        if how == "crashed":
            files.write_json(run.state, {"format": 1, "state": "ended", "attempt": 1, "how": how})
        else:
            files.write_json(run.result, {"attempt": 1, "state": how, "metrics": {"test/accuracy": 0.5}})
        os.utime(run.root, (time.time() - 3600 + number,) * 2)  # rows of settled folders are not read anew
    index.rebuild(runs)
    return runs


@pytest.fixture
def again(some: RunsPaths, tmp_path: Path) -> Callable[[], None]:
    """Bring the runs folder back to what it was, time stamps included."""
    kept = tmp_path / "kept"
    shutil.copytree(some.root, kept)

    def restore() -> None:
        shutil.rmtree(some.root)
        shutil.copytree(kept, some.root)

    return restore


@pytest.mark.parametrize(
    ("operation", "count"),
    [("change", 2), ("change_many", 2), ("rebuild", 0), ("mend", 0), ("remove", 2)],
)
def test_killed_at_every_write_point_it_loads_and_holds_what_the_folders_say(
    some: RunsPaths, again: Callable[[], None], kill_everywhere: Any, operation: str, count: int
) -> None:
    ids = sorted(store.list_ids(some))[:count]

    def check() -> None:
        expected = truth(some)
        said: list[str] = []
        assert index.query(some, warn=said.append) == expected
        assert len(said) <= (operation == "mend"), said  # nobody found it damaged but whom it was damaged for
        assert index.query(some, warn=said.append) == expected
        index.sync(some, ids)
        assert index.query(some) == expected

    killed = kill_everywhere(again, check, operation, *ids)
    assert killed >= 8


def test_a_submitter_killed_at_every_write_point_leaves_whole_runs_or_none(
    runs: RunsPaths, make_runs: MakeRuns, kill_everywhere: Any, tmp_path: Path
) -> None:
    make_runs()
    folders.remove(runs, store.list_ids(runs)[0])
    kept = tmp_path / "kept"
    shutil.copytree(runs.root, kept)

    def again() -> None:
        shutil.rmtree(runs.root)
        shutil.copytree(kept, runs.root)

    def check() -> None:
        views = [store.read(runs.run(run_id)) for run_id in store.list_ids(runs)]
        assert all(view.state == "queued" and view.recipe["dataset"] for view in views)
        assert index.query(runs) == truth(runs)
        # What is left of one that was being made is found and is no run.
        assert all(path.name.startswith(".new-") for path in folders.half_written(runs))
        for study in store.studies(runs):
            assert study["members"]

    assert kill_everywhere(again, check, "submit", str(tmp_path / "tiny.toml")) >= 15


def test_a_trainer_killed_at_every_write_point_leaves_readable_files(
    runs: RunsPaths, make_runs: MakeRuns, kill_everywhere: Any
) -> None:
    from imbtui.metrics import read_rows

    (run,) = make_runs()
    kept = b'{"stage": "train", "step": 0, "epoch": 0, "test/accuracy": 0.1}\n'

    def again() -> None:
        run.metrics.write_bytes(kept)
        run.result.unlink(missing_ok=True)

    def check() -> None:
        rows, _ = read_rows(run.metrics)
        assert [row["step"] for row in rows] in ([0], [0, 1])
        assert store.read(run).state in ("queued", "finished")
        writer = files.LineWriter(run.metrics)  # the next attempt's
        writer.append(b'{"stage": "train", "step": 2, "epoch": 2}')
        writer.close()
        rows, bad = read_rows(run.metrics)
        assert rows[-1]["step"] == 2 and bad <= 1

    assert kill_everywhere(again, check, "record", run.id) >= 5


@pytest.mark.parametrize("times", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_a_writer_killed_at_random_moments_leaves_it_readable(
    some: RunsPaths, executioner: Any, times: int
) -> None:
    chance = random.Random(0)
    writer = executioner("change_forever", *store.list_ids(some))
    for _ in range(times):
        writer.kill("after", chance.uniform(0, 0.05))
        said: list[str] = []
        assert index.query(some, warn=said.append) == truth(some)
        assert said == []


def journal_of(runs: RunsPaths, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Let changes stay in the journal and return it."""
    monkeypatch.setattr(index, "FOLD_BELOW", 0)
    monkeypatch.setattr(index, "FOLD_SHARE", 1e9)
    for number, run_id in enumerate(sorted(store.list_ids(runs))):
        if number % 2:
            folders.update_submit(runs.run(run_id), attempt=2)
        else:
            folders.write_notes(runs.run(run_id), tags=["tagged"], note="")
        index.sync(runs, [run_id])
    return runs.index_journal.read_bytes()


def damages(whole: bytes, every: int) -> list[bytes]:
    """What an index or a journal may hold after an accident: cut anywhere, overwritten, not its own."""
    cut = [whole[:size] for size in range(0, len(whole), every)]
    middle = len(whole) // 2
    return [
        *cut,
        whole[middle:],
        whole[:middle] + b"\0" * 512 + whole[middle:],
        bytes(reversed(whole)),
        b"\xff\xfe\x00",
        b"[1, 2]\n",
        b'{"id": 5}\n{"id": null}\n{"id": ["x"]}\n"id"\n',
        b'{"id": "no-such-run", "state": "finished", "order": "x"}\n',
        b'{"runs": {"1": {"id": {}}}}',
        b'{"runs": {"one": {"id": "x"}}}',
        whole * 2,
    ]


@pytest.mark.parametrize("every", [37, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("which", ["index", "index_journal"])
def test_whatever_its_files_hold_the_rows_are_those_of_the_folders(
    some: RunsPaths, monkeypatch: pytest.MonkeyPatch, which: str, every: int
) -> None:
    journal, whole = journal_of(some, monkeypatch), some.index.read_bytes()
    expected = truth(some)
    for damage in damages(whole if which == "index" else journal, every):
        some.index.write_bytes(whole)
        some.index_journal.write_bytes(journal)
        getattr(some, which).write_bytes(damage)
        assert index.query(some) == expected, damage
        assert index.query(some) == expected, damage
        some.index_journal.write_bytes(journal)
        getattr(some, which).write_bytes(damage)
        index.sync(some, [expected[0]["id"]])  # a writer comes first
        assert index.query(some) == expected, damage
    for path in (some.index, some.index_journal):
        path.unlink()
        assert index.query(some) == expected


def test_settled_rows_are_not_read_from_their_folders(
    some: RunsPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = index.query(some)
    monkeypatch.setattr(store, "read", None)
    assert index.query(some) == expected


def test_a_change_that_the_index_was_never_told_of_is_listed(some: RunsPaths) -> None:
    run = some.run(index.query(some)[0]["id"])
    folders.update_submit(run, attempt=7)
    assert index.query(some)[0]["attempt"] == 7
    folders.write_notes(run, tags=["by-hand"], note="")
    assert index.query(some)[0]["tags"] == ["by-hand"]


def test_where_nothing_can_be_written_the_rows_are_right(
    some: RunsPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a read-only file system, which the superuser that tests may be would not notice otherwise."""
    expected = truth(some)
    some.index.write_bytes(b"{")

    def refuse(*arguments: Any, **options: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(files, "locked", refuse)
    assert index.query(some) == expected
