"""What is kept of corrupted examples: masks, true labels, realised rates, and curves apart."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from imbtui.numerics.corrupted_accuracy import CorruptedAccuracy
from imbtui.paths import RunPaths

MakeRuns = Callable[..., list[RunPaths]]
Train = Callable[..., dict[str, Any]]
CLEAN = ["corruptions.long_tail=false", "train.evaluate_every=3"]
NOISY = [*CLEAN, 'corruptions.label_noise={kind = "uniform", rate = 0.5}']


def labels_of(run: RunPaths) -> dict[str, np.ndarray]:
    with np.load(run.artifacts / "training_labels.npz") as file:
        return dict(file)


def test_accuracies_apart() -> None:
    """Two clean examples (one right), three corrupted: one as given, one as it truly is, one as neither."""
    logits = torch.eye(3)[[0, 1, 0, 1, 2]]
    targets, true = torch.tensor([0, 0, 0, 2, 0]), torch.tensor([0, 0, 1, 1, 1])
    accuracy = CorruptedAccuracy()
    for part in (slice(0, 2), slice(2, 5)):
        accuracy.update(logits[part], targets[part], true[part], (torch.arange(5) >= 2)[part])
    assert accuracy.compute() == pytest.approx(
        {"clean_accuracy": 1 / 2, "corrupted_accuracy": 1 / 3, "corrupted_true_accuracy": 1 / 3}
    )


def test_what_there_is_nothing_to_measure_of_is_left_out() -> None:
    none, all_inputs = CorruptedAccuracy(), CorruptedAccuracy()
    y = torch.tensor([0, 1])
    none.update(torch.eye(2), y, y, torch.zeros(2, dtype=torch.bool))
    all_inputs.update(torch.eye(2), y, y, torch.ones(2, dtype=torch.bool))
    assert none.compute() == {}
    assert all_inputs.compute() == {"corrupted_accuracy": 1.0}


def test_a_noisy_run_keeps_its_mask_and_has_curves_apart(make_runs: MakeRuns, train: Train) -> None:
    (run,) = make_runs(*NOISY)
    metrics = train(run)["metrics"]
    labels = labels_of(run)
    wrong = labels["targets"] != labels["clean_targets"]
    np.testing.assert_array_equal(labels["is_corrupted"], wrong)
    assert json.loads(run.env.read_text())["corrupted"] == {
        "examples": wrong.sum(),
        "flip_rate": pytest.approx(wrong.mean(), abs=1e-6),
    }
    share = wrong.mean()
    together = share * metrics["train/corrupted_accuracy"] + (1 - share) * metrics["train/clean_accuracy"]
    assert metrics["train/accuracy"] == pytest.approx(together)
    # Patterns come before noise: what is memorised last is still predicted as it truly is.
    assert metrics["train/corrupted_true_accuracy"] > metrics["train/corrupted_accuracy"] + 0.2
    assert "test/corrupted_accuracy" not in metrics


def test_a_clean_run_has_no_such_curves(make_runs: MakeRuns, train: Train) -> None:
    (run,) = make_runs(*CLEAN, "train.epochs=1")
    metrics = train(run)["metrics"]
    assert not [name for name in metrics if "corrupted" in name or "clean" in name]
    assert json.loads(run.env.read_text())["corrupted"] == {"examples": 0, "flip_rate": 0.0}
