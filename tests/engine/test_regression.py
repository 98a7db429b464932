"""Regression tasks, replicates inside one run, and training on the validation set."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from imbtui.errors import UserError
from imbtui.numerics.regression import RegressionMetrics
from imbtui.paths import RunPaths

MakeRuns = Callable[..., list[RunPaths]]
Train = Callable[..., dict[str, Any]]
SINC = """
title = "sinc"
[dataset]
name = "toy_sinc"
n_test = 500
[model]
name = "linear"
[loss]
name = "squared"
[optimizer]
lr = 0.1
[train]
epochs = 1000
batch_size = "all"
precision = "fp64"
evaluate_every = "50%"
threads = 1
"""
SOLVED = ("methods.least_squares=true", "train.epochs=1")


def test_descent_ends_at_the_exact_solution(make_runs: MakeRuns, train: Train) -> None:
    (descended,), (solved,) = make_runs(toml=SINC), make_runs(*SOLVED, toml=SINC, name="solved")
    results = [train(run) for run in (descended, solved)]
    assert [r["state"] for r in results] == ["finished", "finished"], [r["reason"] for r in results]
    for name in ("train/mse", "train/loss", "test/mse", "test/mae", "test/r2"):
        assert results[0]["metrics"][name] == pytest.approx(results[1]["metrics"][name], rel=1e-3), name
    assert not any("accuracy" in name for name in results[0]["metrics"])
    assert results[0]["best"] is None


def test_replicates_are_the_runs_of_other_seeds(make_runs: MakeRuns, train: Train) -> None:
    """Two replicates of seed 1 are seeds 2 and 3, and the metric is their mean."""
    (run,) = make_runs(*SOLVED, "train.replicates=2", toml="seeds = [1]\n" + SINC)
    together = train(run)
    alone = []
    for seed in (2, 3):
        (single,) = make_runs(*SOLVED, toml=f"seeds = [{seed}]\n" + SINC, name=f"seed-{seed}")
        alone.append(train(single)["metrics"]["test/mse"])
    assert together["metrics"]["test/mse"] == pytest.approx(np.mean(alone), rel=1e-12)
    kept = json.loads((run.artifacts / "replicates.json").read_text())
    assert kept["test/mse"] == pytest.approx(alone, rel=1e-12)


@pytest.mark.parametrize(
    ("assignments", "sentence"),
    [
        (
            ["loss.name=cross_entropy"],
            'loss "cross_entropy" is for classification.*toy_sinc.*is for regression',
        ),
        (["methods.class_weights=true"], 'method "class_weights" is for classification'),
        (["corruptions.label_noise=true"], 'corruption "label_noise" is for classification'),
        (["loss.start_epoch=1"], "targets are real numbers"),
        (["train.replicates=2"], "no method of the recipe repeats anything"),
    ],
)
def test_what_does_not_fit_is_refused_at_once(
    make_runs: MakeRuns, assignments: list[str], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        make_runs(*assignments, toml=SINC)


def test_regression_metrics_against_their_definitions() -> None:
    metrics = RegressionMetrics()
    y = torch.tensor([0.0, 1.0, 2.0, 5.0])
    predictions = torch.tensor([0.5, 1.0, 1.0, 5.0])
    metrics.update(predictions[:3, None], y[:3])
    metrics.update(predictions[3:, None], y[3:])
    assert metrics.compute() == pytest.approx({"mse": 0.3125, "mae": 0.375, "r2": 1 - 0.3125 / 3.5})


def test_training_on_the_trusted_examples_too_or_alone(make_runs: MakeRuns, train: Train) -> None:
    trusted = {}
    for when in ("never", "also", "only"):
        (run,) = make_runs(
            "dataset.protocol=stratified",
            "corruptions.long_tail=false",
            "corruptions.label_noise.rate=0.5",
            "dataset.validation=100",
            f"dataset.train_on_validation={when}",
            "train.epochs=1",
            name=when,
        )
        assert train(run)["state"] == "finished"
        with np.load(run.artifacts / "training_labels.npz") as kept:
            trusted[when] = dict(kept)
    before, both, alone = trusted["never"], trusted["also"], trusted["only"]
    assert len(alone["targets"]) == 100
    assert not alone["is_corrupted"].any()
    assert both["index"].tolist() == before["index"].tolist() + alone["index"].tolist()
    assert both["is_corrupted"].sum() == before["is_corrupted"].sum() > 500


def test_there_must_be_trusted_examples(make_runs: MakeRuns, train: Train) -> None:
    (run,) = make_runs("dataset.train_on_validation=only")
    assert "no validation examples to train on" in train(run)["reason"]
