"""What a trainer leaves belongs to its user alone, and what it reads back cannot run code."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from imbtui import store
from imbtui.engine import session
from imbtui.paths import RunPaths

MakeRuns = Callable[..., list[RunPaths]]


@pytest.fixture(autouse=True)
def _open_handed() -> Iterator[None]:
    """The umask of most systems lets everybody read new files."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_every_file_of_a_trained_run_is_its_users_alone(make_runs: MakeRuns, train: Any) -> None:
    (run,) = make_runs("methods.lottery.rounds=1", "train.epochs=1", "train.checkpoint_every=1")
    session.register(run, 0, 1)
    assert train(run)["state"] == "finished"
    found = [run.root, *run.root.rglob("*")]
    assert {"metrics.jsonl", "result.json", "env.json", "0.json", "recipe.toml"} <= {p.name for p in found}
    assert list(run.checkpoints.iterdir())
    assert [p for p in found if p.stat().st_mode & 0o077] == []


class Harm:
    """Unpickled, it touches a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.target),))


def test_a_checkpoint_that_would_run_code_is_refused(make_runs: MakeRuns, train: Any, tmp_path: Path) -> None:
    (run,) = make_runs("train.epochs=1")
    run.checkpoints.mkdir(exist_ok=True)
    target = tmp_path / "harm"
    (run.checkpoints / "last.pt").write_bytes(pickle.dumps({"stage": "train", "step": Harm(target)}, 2))
    assert train(run)["state"] == "failed"
    assert "last.pt: this cannot be read as a checkpoint" in store.read(run).reason
    assert not target.exists()
