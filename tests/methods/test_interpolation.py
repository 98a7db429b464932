"""Closed forms as runs: zhang2017 §5."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from imbtui.paths import RunPaths

MakeRuns = Callable[..., list[RunPaths]]
Train = Callable[..., dict[str, Any]]
TOML = """
title = "closed form"
[dataset]
name = "digits"
protocol = "stratified"
[[corruptions]]
name = "label_noise"
kind = "uniform"
rate = 1.0
[augmentation]
standardise = true
[model]
name = "linear"
[[methods]]
name = "interpolation"
[train]
epochs = 1
threads = 1
"""


@pytest.mark.parametrize(
    ("kind", "weights", "changes"),
    [
        ("two_layer", 2 * 1437 + 64, []),
        ("kernel", 1437 * 10, []),
        ("min_norm", 64 * 10, ["corruptions.subset.n=50"]),
    ],
)
def test_random_labels_are_fitted(
    make_runs: MakeRuns, train: Train, kind: str, weights: int, changes: list[str]
) -> None:
    (run,) = make_runs(f"methods.interpolation.kind={kind}", *changes, toml=TOML)
    result = train(run)
    assert result["state"] == "finished", result["reason"]
    metrics = result["metrics"]
    assert metrics["train/error"] == 0
    assert result["fit_epoch"] == 1
    assert metrics["interpolation/max_error"] < 1e-4
    assert metrics["interpolation/weights"] == weights
    assert metrics["test/accuracy"] < 0.3


def test_true_labels_are_generalised_from_by_the_kernel(make_runs: MakeRuns, train: Train) -> None:
    (run,) = make_runs("corruptions.label_noise=false", toml=TOML)
    assert train(run)["metrics"]["test/accuracy"] > 0.97


def test_more_examples_than_input_values_are_refused(make_runs: MakeRuns, train: Train) -> None:
    (run,) = make_runs("methods.interpolation.kind=min_norm", toml=TOML)
    assert "64 input values cannot pass through 1437 examples" in train(run)["reason"]
