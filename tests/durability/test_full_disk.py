"""A disk that is really full: a run says so and fails, what was there stays, the worker waits for room."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from imbtui import files, folders, index, store
from imbtui.engine import session
from imbtui.metrics import read_rows
from imbtui.paths import RunPaths, RunsPaths

MakeRuns = Callable[..., list[RunPaths]]
Disk = Any  # tests/conftest.py
KIB = 1 << 10


@pytest.fixture
def disk(tmp_path: Path, small_disk: Any) -> Any:
    """A disk of 24 MB for the runs folder."""
    root = tmp_path / "disk"
    root.mkdir()
    return small_disk(root, "24m")


@pytest.fixture
def runs(disk: Disk) -> RunsPaths:
    folder = RunsPaths(disk.root / "runs")
    folders.ensure_folder(folder)
    return folder


def evaluations(run: RunPaths) -> list[dict[str, Any]]:
    rows, bad = read_rows(run.metrics)
    assert not bad
    timed = ("time", "running/loss")
    return [{k: v for k, v in row.items() if k not in timed} for row in rows if "test/loss" in row]


@pytest.mark.parametrize(
    ("settings", "room"),
    [
        # Rows of metrics of a kilobyte and a half each, and never a checkpoint.
        (("train.epochs=80", "train.checkpoint_every=80"), 60 * KIB),
        # Checkpoints of 2.4 MB: one fits, its successor beside it does not.
        (("train.epochs=4", "train.checkpoint_every=7it", "model.hidden=[512, 512]"), 3500 * KIB),
    ],
    ids=["metrics", "checkpoint"],
)
def test_a_run_that_finds_the_disk_full_says_so_and_can_go_on(
    disk: Disk, make_runs: MakeRuns, train: Any, settings: tuple[str, ...], room: int
) -> None:
    undisturbed, run = *make_runs(*settings), *make_runs(*settings)
    assert train(undisturbed)["state"] == "finished"
    shutil.rmtree(undisturbed.checkpoints)
    disk.fill(leave=session.RESERVE + room)
    result = train(run)
    assert (result["state"], result["reason"]) == ("failed", "the disk is full")
    assert (store.read(run).state, store.read(run).reason) == ("failed", "the disk is full")
    done = evaluations(run)
    assert 0 < len(done) < len(evaluations(undisturbed))
    assert done == evaluations(undisturbed)[: len(done)]
    for checkpoint in run.checkpoints.iterdir():
        assert torch.load(checkpoint, weights_only=True)["step"] > 0
    assert ("checkpoint_every=7it" in str(settings)) == (run.checkpoints / "last.pt").exists()
    assert not run.reserve.exists()
    disk.free()
    folders.update_submit(run, attempt=2)
    assert train(run)["state"] == "finished"
    assert evaluations(run) == evaluations(undisturbed)


def test_without_room_for_its_result_nothing_is_lost(disk: Disk, make_runs: MakeRuns) -> None:
    """Somebody else takes the last byte at once: the run leaves no result, and its process an error."""
    (run,) = make_runs()
    disk.fill(leave=0)
    with pytest.raises(OSError, match="No space left"):
        session.train_run(run, attempt=1, stop_flag=[], provenance={})
    assert store.read(run).state == "queued"
    assert not list(run.root.glob(".tmp-*"))


def test_the_index_stays_as_it_was_and_lists_what_is_there(
    disk: Disk, make_runs: MakeRuns, runs: RunsPaths
) -> None:
    made = [*make_runs("split_seed=0"), *make_runs("split_seed=1")]
    index.sync(runs)
    content = runs.index.read_bytes()
    files.write_json(made[0].result, {"attempt": 1, "state": "finished", "metrics": {}})
    disk.fill(leave=0)
    for write in (lambda: index.sync(runs, [made[0].id]), lambda: index.rebuild(runs)):
        with pytest.raises(OSError, match="No space left"):
            write()
        assert runs.index.read_bytes() == content
        assert sorted(row["state"] for row in index.query(runs)) == ["finished", "queued"]
    assert not list(runs.root.glob(".tmp-*"))
    disk.free()
    index.sync(runs, [made[0].id])
    stored = json.loads(runs.index.read_bytes())["runs"].values()
    assert sorted(row["state"] for row in stored) == ["finished", "queued"]
