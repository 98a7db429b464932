"""Seeds, devices and data that a submission names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from imbtui import folders, gpus, index, store, submit
from imbtui.errors import UserError
from imbtui.gpus import Gpu
from imbtui.paths import RunPaths, RunsPaths
from imbtui.recipe import Study, load_study

Load = Callable[..., Study]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Return a study of a tiny recipe with changes."""
    path = tmp_path / "tiny.toml"
    path.write_text('[dataset]\nname = "digits"\n[model]\nname = "mlp"\n[train]\nepochs = 1\n')
    return lambda *assignments, seeds=None: load_study(path, assignments, seeds=seeds)


@pytest.mark.parametrize(
    ("written", "seeds"),
    [
        ("3", [3]),
        ("0-4", [0, 1, 2, 3, 4]),
        ("0,2,5", [0, 2, 5]),
        ("0-2, 7", [0, 1, 2, 7]),
        ("1 - 2,", [1, 2]),
    ],
)
def test_seeds(written: str, seeds: list[int]) -> None:
    assert submit.parse_seeds(written) == seeds


@pytest.mark.parametrize("written", ["", ",", "a", "-1", "1-", "4-0", "0-99999", "4294967296", "1.5", "0x1"])
def test_what_are_no_seeds(written: str) -> None:
    with pytest.raises(UserError) as caught:
        submit.parse_seeds(written)
    assert caught.value.where == "--seeds"


def test_gpus_must_be_there(monkeypatch: pytest.MonkeyPatch, load: Load) -> None:
    here = [Gpu(index, "H200", f"GPU-{index}", 1, 0) for index in (0, 2)]
    monkeypatch.setattr(gpus, "list_gpus", lambda: here)
    assert submit.parse_gpus("2, 0") == [2, 0]
    with pytest.raises(UserError, match="no GPU 1") as caught:
        submit.check([load()], submit.parse_gpus("0,1"))
    assert "0, 2" in caught.value.hint and caught.value.where == "--gpus"
    with pytest.raises(UserError, match="twice"):
        submit.parse_gpus("0,0")
    with pytest.raises(UserError, match="2 processes need 2 GPUs"):
        submit.check([load("launch.processes=2")], [0])
    submit.check([load("launch.processes=2")], [0, 2])
    with pytest.raises(UserError, match="no GPU 1"):
        submit.check([load("launch.gpus=[1]")], None)
    submit.check([load("launch.gpus=[1]")], "cpu")


def test_data_in_the_form_that_is_asked_for(
    tmp_path: Path, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMBTUI_DATA", str(tmp_path))
    (tmp_path / "CIFAR10").mkdir()
    (tmp_path / "CIFAR10" / "cifar10_small.npz").touch()
    submit.check([load("dataset.name=cifar10")], None)
    submit.check([load("dataset.name=cifar10", "dataset.form=small")], None)
    with pytest.raises(UserError, match="cifar10") as caught:
        submit.check([load("dataset.name=cifar10", "dataset.form=original")], None)
    assert str(tmp_path) in str(caught.value)
    assert "imbtui data get cifar10" in caught.value.hint


def test_only_new_runs_are_created(runs: RunsPaths, load: Load) -> None:
    study = load(seeds=[0, 1])
    first = submit.submit(runs, submit.plan(runs, [study]))
    assert [entry.status for entry in first] == ["new", "new"]
    again = submit.submit(runs, submit.plan(runs, [study, load(seeds=[1, 2])]))
    assert [entry.status for entry in again] == ["joined", "joined", "joined", "new"]
    assert [entry.id for entry in again[:2]] == [entry.id for entry in first]
    assert len(store.list_ids(runs)) == 3
    assert {row["id"] for row in index.query(runs)} == set(store.list_ids(runs))


def test_equal_runs_of_one_submission_are_one_run(runs: RunsPaths, load: Load) -> None:
    entries = submit.submit(runs, submit.plan(runs, [load(), load()]))
    assert entries[0].id == entries[1].id
    assert len(store.list_ids(runs)) == 1


def test_a_queued_run_of_another_terminal_is_not_waited_for(runs: RunsPaths, load: Load) -> None:
    """Nobody starts what belongs to a `run --here` that may be gone."""
    study = load()
    folders.create(runs, study.runs[0], study=study, gpus=None, here=True)
    assert [entry.status for entry in submit.plan(runs, [study])] == ["new"]


def test_a_full_disk_is_the_users_to_know(
    runs: RunsPaths, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[RunPaths] = []

    def full(*arguments: object, **options: object) -> str:
        if made:
            raise OSError(28, "No space left on device")
        made.append(RunPaths(runs.root))
        return create(*arguments, **options)  # type: ignore[arg-type]

    create = folders.create
    monkeypatch.setattr(folders, "create", full)
    with pytest.raises(UserError, match="after 1 of its runs were queued: No space left"):
        submit.submit(runs, submit.plan(runs, [load(seeds=[0, 1])]))
