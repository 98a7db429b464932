"""Fixtures shared by all tests."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from imbtui import store
from imbtui.paths import RunPaths, RunsPaths

REPOSITORY = Path(__file__).parent.parent
SHARED_DATA = REPOSITORY.parent / "shared" / "data"


@pytest.fixture(autouse=True)
def _own_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a developer's own runs folder, configuration and terminal settings out of the tests."""
    for name in ("IMBTUI_RUNS", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("IMBTUI_CONFIG", os.devnull)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def data_root(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with real image data, also exported as `IMBTUI_DATA`."""
    named = os.environ.get("IMBTUI_DATA")
    root = Path(named) if named else SHARED_DATA
    if not root.is_dir():
        pytest.skip("no real data: set IMBTUI_DATA to a folder in torchvision's layout")
    monkeypatch.setenv("IMBTUI_DATA", str(root))
    return root


MakeRuns = Callable[..., list[RunPaths]]

TINY = """
title = "tiny"
seeds = [0]
[dataset]
name = "digits"
protocol = "long_tail"
[[corruptions]]
name = "long_tail"
ratio = 100
n_max = 120
[augmentation]
input_noise = 0.1
[model]
name = "mlp"
hidden = [32]
[loss]
name = "cross_entropy"
normalise = "weights"
[optimizer]
lr = 0.05
momentum = 0.9
[train]
epochs = 3
batch_size = 64
threads = 1
"""


@pytest.fixture
def runs(tmp_path: Path) -> RunsPaths:
    """An empty runs folder."""
    folder = RunsPaths(tmp_path / "runs")
    store.ensure_folder(folder)
    return folder


@pytest.fixture
def make_runs(runs: RunsPaths, tmp_path: Path) -> MakeRuns:
    """Create the run folders of a recipe's text (default: a tiny one), with `KEY=VALUE` overrides."""
    from imbtui.recipe import load_study

    def make(
        *assignments: str, toml: str = TINY, name: str = "tiny", gpus: list[int] | str | None = "cpu"
    ) -> list[RunPaths]:
        path = tmp_path / f"{name}.toml"
        path.write_text(toml)
        study = load_study(path, assignments)
        store.record_study(runs, study)
        return [runs.run(store.create(runs, p, study=study, gpus=gpus, here=False)) for p in study.runs]

    return make


Train = Callable[..., dict[str, Any]]


@pytest.fixture
def train() -> Train:
    """Train a run in this process and return its result."""
    from imbtui.engine import session

    def run_it(run: RunPaths, stop_flag: list[int] | None = None) -> dict[str, Any]:
        attempt = session.attempt_of(run)
        session.train_run(
            run, attempt=attempt, stop_flag=[] if stop_flag is None else stop_flag, provenance={}
        )
        return json.loads(run.result.read_text())

    return run_it
