"""A short loss curve of the shipped recipes, kept: a refactoring must not move it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from imbtui.paths import RunPaths
from imbtui.recipe import load_study

MakeRuns = Callable[..., list[RunPaths]]
Train = Callable[..., dict[str, Any]]

# Mean training loss of the first five epochs, seed 0, one thread on a CPU. Another release of torch may
# move the last digits; another order of the data, of initialisation or of noise moves the first.
GOLDEN = {
    "CE": [2.22207, 2.09317, 1.78744, 1.59693, 1.50878],
    "DRW": [2.22207, 2.09317, 1.78744, 2.74447, 2.27602],
    "LDAM-DRW": [8.72014, 7.26234, 7.47671, 16.07009, 15.01435],
}


def first_epochs(make_runs: MakeRuns, train: Train, recipe: str) -> dict[str, list[float]]:
    study = load_study(recipe)
    made = make_runs(
        "train.epochs=5",
        "train.evaluate_every=1",
        toml=Path(study.path).read_text(),
        name=study.name.replace("/", "-"),
    )
    curves = {}
    for run in made:
        submit = json.loads(run.submit.read_text())
        if submit["seed"] == 0:
            assert train(run)["state"] == "finished"
            rows = map(json.loads, run.metrics.read_text().splitlines())
            curves[submit["arm"]] = [
                row["running/loss"] for row in rows if "running/loss" in row and "test/loss" in row
            ]
    return curves


def test_the_quick_start_s_first_epochs_stay_as_they_are(make_runs: MakeRuns, train: Train) -> None:
    curves = first_epochs(make_runs, train, "quickstart")
    assert curves.keys() == GOLDEN.keys()
    for arm, losses in GOLDEN.items():
        assert curves[arm] == pytest.approx(losses, abs=2e-4), arm
