"""Run folders: private, whole or absent, their states computed from files and processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from imbtui import files, folders, index, store, where
from imbtui.errors import UserError
from imbtui.paths import RunPaths, RunsPaths
from imbtui.processes import Identity

MakeRuns = Callable[..., list[RunPaths]]


def claim(run: RunPaths, identity: Identity, attempt: int = 1) -> None:
    """Write what the worker writes when it launches a run."""
    files.write_json(run.state, {"state": "running", "attempt": attempt, **identity.to_json()})


def register(run: RunPaths, identity: Identity, attempt: int = 1) -> None:
    files.write_json(run.rank(0), {"rank": 0, "attempt": attempt, **identity.to_json()})


def finish(run: RunPaths, state: str = "finished", attempt: int = 1) -> None:
    files.write_json(
        run.result, {"attempt": attempt, "state": state, "reason": "", "metrics": {"test/accuracy": 0.5}}
    )


@pytest.fixture
def dead() -> Identity:
    """The identity of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    identity = Identity.of(process.pid)
    process.communicate()
    assert identity is not None
    return identity


def test_folders_are_private_and_whole(make_runs: MakeRuns, runs: RunsPaths) -> None:
    (run,) = make_runs()
    assert run.root.stat().st_mode & 0o777 == 0o700
    assert {p.name for p in run.root.iterdir()} == {"recipe.toml", "submit.json", "ranks"}
    assert all(p.stat().st_mode & 0o077 == 0 for p in run.root.iterdir())
    submit = json.loads(run.submit.read_text())
    assert submit["attempt"] == 1
    assert store.list_ids(runs) == [run.id]


def test_states_are_computed(make_runs: MakeRuns, dead: Identity) -> None:
    (run,) = make_runs()
    alive = Identity.of(os.getpid())
    assert alive is not None
    assert store.read(run).state == "queued"
    claim(run, alive)
    assert (store.read(run).state, store.read(run).reason) == ("queued", "starting")
    claim(run, dead)
    assert (store.read(run).state, store.read(run).reason) == ("queued", "")
    register(run, alive)
    assert store.read(run).state == "running"
    register(run, dead)
    assert store.read(run).state == "crashed"
    finish(run)
    assert store.read(run).state == "finished"
    folders.update_submit(run, attempt=2)
    view = store.read(run)
    assert view.state == "queued"
    assert not view.metrics, "an older attempt's values are not shown as this one's"


def test_a_process_of_an_earlier_boot_is_dead(make_runs: MakeRuns) -> None:
    (run,) = make_runs()
    me = Identity.of(os.getpid())
    assert me is not None
    register(run, Identity(me.host, "another-boot", me.pid, me.start_ticks))
    assert store.read(run).state == "crashed"
    register(run, Identity(me.host, me.boot_id, me.pid, me.start_ticks - 1))
    assert store.read(run).state == "crashed"


def test_an_ended_state_tells_how(make_runs: MakeRuns) -> None:
    (run,) = make_runs()
    files.write_json(run.state, {"state": "ended", "attempt": 1, "how": "stopped"})
    assert store.read(run).state == "stopped"
    files.write_json(run.state, {"state": "ended", "attempt": 1, "how": "crashed", "reason": "out of memory"})
    assert (store.read(run).state, store.read(run).reason) == ("crashed", "out of memory")


@pytest.mark.parametrize("damage", ["submit.json", "recipe.toml", "state.json", "result.json"])
def test_damaged_files_never_raise(make_runs: MakeRuns, runs: RunsPaths, damage: str) -> None:
    (run,) = make_runs()
    (run.root / damage).write_bytes(b'{"attempt": \xff\x00')
    view = store.read(run)
    assert view.state in where.STATES
    assert isinstance(view.recipe, dict)
    assert index.query(runs)[0]["id"] == run.id


def test_runs_are_named_by_id_prefix_row_and_recency(make_runs: MakeRuns, runs: RunsPaths) -> None:
    made = [make_runs(f"split_seed={n}")[0] for n in range(3)]
    assert store.resolve(runs, made[1].id).id == made[1].id
    assert store.resolve(runs, made[1].id[:6]).id == made[1].id
    assert store.resolve(runs, "@last").id == made[2].id
    assert store.resolve(runs, "@~1").id == made[1].id
    folders.remember_listing(runs, [made[2].id, made[0].id])
    assert store.resolve(runs, "2").id == made[0].id
    for reference, sentence in (
        ("zzzzzzzz", "no run has this id"),
        ("", "no run has this id"),
        ("9", "no row 9"),
        ("@~7", "only 3 runs"),
        ("../x", "no run has this id"),
    ):
        with pytest.raises(UserError, match=sentence):
            store.resolve(runs, reference)


def test_an_ambiguous_prefix_lists_what_it_could_mean(runs: RunsPaths) -> None:
    for name in ("abc-one", "abc-two"):
        (runs.root / name).mkdir()
    with pytest.raises(UserError, match="2 runs start like this: abc-one, abc-two"):
        store.resolve(runs, "abc")


def test_a_half_written_folder_is_no_run(make_runs: MakeRuns, runs: RunsPaths) -> None:
    make_runs()
    (runs.root / ".new-abc").mkdir()
    (runs.root / "empty").mkdir()
    assert {p.name for p in folders.half_written(runs)} == {".new-abc", "empty"}
    assert ".new-abc" not in store.list_ids(runs)


def test_removed_runs_are_in_the_trash(make_runs: MakeRuns, runs: RunsPaths) -> None:
    (run,) = make_runs()
    folders.remove(runs, run.id)
    assert store.list_ids(runs) == []
    (trashed,) = runs.trash.iterdir()
    assert (trashed / "recipe.toml").exists()


def test_notes_are_kept(make_runs: MakeRuns) -> None:
    (run,) = make_runs()
    folders.write_notes(run, tags=["b", "a", "b"], note='a "quoted"\nnote')
    view = store.read(run)
    assert view.tags == ("a", "b")
    assert view.note == 'a "quoted"\nnote'


def test_a_runs_folder_that_cannot_be_made_is_the_users_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be made"):
        folders.ensure_folder(RunsPaths(tmp_path / "file" / "runs"))


def test_the_index_heals_itself(make_runs: MakeRuns, runs: RunsPaths) -> None:
    first, second = *make_runs("split_seed=0"), *make_runs("split_seed=1")
    assert [row["id"] for row in index.query(runs)] == [second.id, first.id]
    assert runs.index.exists()
    finish(first)
    assert {row["id"]: row["state"] for row in index.query(runs)}[first.id] == "finished"
    folders.remove(runs, second.id)
    assert [row["id"] for row in index.query(runs)] == [first.id]


@pytest.mark.parametrize("garbage", [b"", b"{", b"[1, 2]", b'{"runs": {"1": {"x": 1}}}', b"\xff\xfe\x00"])
def test_a_damaged_index_is_set_aside_and_rebuilt(
    make_runs: MakeRuns, runs: RunsPaths, garbage: bytes
) -> None:
    (run,) = make_runs()
    index.sync(runs)
    whole = index.query(runs)
    runs.index.write_bytes(garbage)
    said: list[str] = []
    assert index.query(runs, warn=said.append) == whole
    assert len(said) == 1
    assert "damaged" in said[0]
    assert [p.read_bytes() for p in runs.root.glob(".index-damaged-*")] == [garbage]
    assert index.query(runs, warn=said.append) == whole
    assert len(said) == 1
    assert run.id == whole[0]["id"]


def test_run_folders_of_every_released_format_still_load(tmp_path: Path) -> None:
    """What a colleague finished with an older release is listed, shown and reused as before."""
    import shutil

    from imbtui.recipe.digest import digest
    from imbtui.recipe.read import read_resolved

    fixtures = Path(__file__).parent / "fixtures" / "run-format-1"
    runs = RunsPaths(tmp_path / "old")
    shutil.copytree(fixtures, runs.root)
    (row,) = index.query(runs)
    assert row["state"] == "finished"
    view = store.resolve(runs, row["id"])
    assert view.tags == ("kept",)
    assert view.metrics["test/balanced_accuracy"] == row["metrics"]["test/balanced_accuracy"]
    assert view.progress.share == 1.0
    assert digest(read_resolved(view.path.recipe)) == view.digest
