"""A study at a glance, runs side by side, and how numbers are spelt."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from imbtui import files, store
from imbtui.members import by_digest, members_of
from imbtui.paths import RunPaths, RunsPaths
from imbtui.report import Spread, compare, number, summarise

STUDY = """
seeds = [0, 1]
[dataset]
name = "digits"
validation = 0.2
[model]
name = "mlp"
[[arms]]
label = "CE"
[[arms]]
label = "LDAM"
set = { "loss.name" = "ldam", "model.head" = "cosine", "methods.class_weights.start_epoch" = 3 }
"""
Made = Callable[..., list[RunPaths]]


def finish(run: RunPaths, last: float, best: float | None) -> None:
    chosen = {"test/balanced_accuracy": best, "selected_on": "val/balanced_accuracy", "step": 10}
    metrics = {"test/balanced_accuracy": last, "test/class_accuracy": [0.1, 0.2], "train/loss": 0.5}
    document = {
        "attempt": 1,
        "state": "finished",
        "metrics": metrics,
        "best": None if best is None else chosen,
    }
    files.write_json(run.result, document)


def members(runs: RunsPaths) -> list[Any]:
    (record,) = store.studies(runs)
    return members_of(record, by_digest(store.read(runs.run(i)) for i in store.list_ids(runs)))


def test_last_and_best_are_apart(make_runs: Made, runs: RunsPaths) -> None:
    folders = make_runs(toml=STUDY)
    for run, (last, best) in zip(folders, [(0.5, 0.6), (0.7, 0.8), (0.9, None)], strict=False):
        finish(run, last, best)
    ce, ldam = summarise(members(runs))
    assert (ce.label, ce.finished, ce.asked, ce.selected_on) == ("CE", 2, 2, "val/balanced_accuracy")
    assert list(ce.last) == ["test/balanced_accuracy"]
    assert ce.last["test/balanced_accuracy"].text() == "0.600 ± 0.141"
    assert ce.best["test/balanced_accuracy"].text() == "0.700 ± 0.141"
    assert dict(ldam.states) == {"finished": 1, "queued": 1}
    assert ldam.best == {} and ldam.selected_on is None
    assert ldam.last["test/balanced_accuracy"].text() == "0.900"
    assert json.loads(json.dumps(ldam.to_json()))["last"]["test/balanced_accuracy"]["sd"] is None


def test_other_metrics_on_request(make_runs: Made, runs: RunsPaths) -> None:
    for run in make_runs(toml=STUDY):
        finish(run, 0.5, 0.6)
    (ce, _) = summarise(members(runs), ["train/loss", "test/nll"])
    assert list(ce.last) == ["train/loss"] and ce.best == {}


def test_nothing_has_run(make_runs: Made, runs: RunsPaths) -> None:
    make_runs(toml=STUDY)
    assert [(line.finished, line.last) for line in summarise(members(runs))] == [(0, {}), (0, {})]


def test_only_what_differs_is_compared(make_runs: Made, runs: RunsPaths) -> None:
    folders = make_runs(toml=STUDY)
    finish(folders[0], 0.5, 0.6)
    finish(folders[2], 0.7, None)
    comparison = compare([store.read(folders[0]), store.read(folders[2])])
    recipe = {line.key: line.values for line in comparison.recipe}
    assert recipe["loss.name"] == ("cross_entropy", "ldam")
    assert recipe["methods.class_weights"] == (None, True)
    assert recipe["methods.class_weights.start_epoch"] == (None, 3)
    assert "dataset.name" not in recipe and "seeds" not in recipe
    document = comparison.to_json()
    assert document["metrics"] == {"test/balanced_accuracy": [0.5, 0.7], "train/loss": [0.5, 0.5]}
    assert document["best"] == {"test/balanced_accuracy": [0.6, None]}
    assert document["ids"] == [folders[0].id, folders[2].id]


def test_one_run_differs_from_nothing(make_runs: Made) -> None:
    assert compare([store.read(make_runs(toml=STUDY)[0])]).recipe == ()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.84251, "0.843"),
        (-0.0, "-0.000"),
        (12.3456, "12.346"),
        (4300.4, "4300"),
        (0.0004, "4.0e-04"),
        (0.0006, "0.001"),
        (math.nan, "nan"),
    ],
)
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text


def test_spread_of_what_is_not_finite() -> None:
    odd = Spread({0: math.nan, 1: 1.0})
    assert odd.text() == "nan ± nan"
    assert odd.to_json() == {"mean": None, "sd": None, "n": 2, "values": {"0": None, "1": 1.0}}
