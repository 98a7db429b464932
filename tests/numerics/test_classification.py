"""Metrics against scikit-learn and torchmetrics."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, log_loss, recall_score
from torch import Tensor

from imbtui.numerics.classification import ClassificationMetrics

K = 5
COUNTS = [200, 100, 50, 20, 19]


def some(n: int = 700, seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Return logits that are right about half of the time, and unbalanced labels."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.multinomial(torch.tensor([5.0, 4, 3, 2, 1]), n, replacement=True, generator=generator)
    logits = torch.randn(n, K, generator=generator, dtype=dtype)
    logits[torch.arange(n), targets] += 1
    return logits, targets


def measured(logits: Tensor, targets: Tensor, batch: int = 128, **options: object) -> ClassificationMetrics:
    metrics = ClassificationMetrics(logits.shape[1], COUNTS[: logits.shape[1]], **options)
    for part, labels in zip(logits.split(batch), targets.split(batch), strict=True):
        metrics.update(part, labels)
    return metrics


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_against_scikit_learn(dtype: torch.dtype) -> None:
    logits, targets = some(dtype=dtype)
    metrics = measured(logits, targets)
    values = metrics.compute()
    predicted = logits.argmax(1)
    recall = recall_score(targets, predicted, average=None)
    assert metrics.confusion() == confusion_matrix(targets, predicted).tolist()
    assert values["accuracy"] == pytest.approx(accuracy_score(targets, predicted))
    assert values["error"] == pytest.approx(1 - accuracy_score(targets, predicted))
    assert values["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(targets, predicted))
    assert values["class_accuracy"] == pytest.approx(recall)
    assert values["nll"] == pytest.approx(log_loss(targets, logits.double().softmax(1)), rel=1e-6)
    one_hot = torch.nn.functional.one_hot(targets, K)
    brier = (logits.double().softmax(1) - one_hot).square().sum(1).mean().item()
    assert values["brier"] == pytest.approx(brier, rel=1e-5)
    # More than 100 training images: many; 20 to 100: medium; fewer than 20: few.
    assert values["many_accuracy"] == pytest.approx(recall[0])
    assert values["medium_accuracy"] == pytest.approx(recall[1:4].mean())
    assert values["few_accuracy"] == pytest.approx(recall[4])


@pytest.mark.parametrize("bins", [15, 10])
def test_calibration_error_against_torchmetrics(bins: int) -> None:
    from torchmetrics.functional.classification import multiclass_calibration_error

    for seed, scale in ((0, 1.0), (1, 0.1), (2, 4.0)):
        logits, targets = some(seed=seed)
        logits *= scale
        expected = multiclass_calibration_error(logits.softmax(1), targets, K, n_bins=bins, norm="l1")
        assert measured(logits, targets, bins=bins).compute()["ece"] == pytest.approx(
            expected.item(), abs=1e-6
        )


def test_calibration_error_of_certainty() -> None:
    """A confidence of exactly 1 belongs to the last bin, together with those just below it."""
    logits = torch.tensor([[1e4, 0.0], [1e4, 0.0], [3.5, 0.0], [3.5, 0.0]])
    targets = torch.tensor([1, 1, 0, 0])
    confidence = (1 + 1 + 2 * torch.tensor(3.5).sigmoid().item()) / 4
    metrics = measured(logits, targets)
    assert metrics.state["bin_count"].tolist() == [0.0] * 14 + [4.0]
    assert metrics.compute()["ece"] == pytest.approx(confidence - 0.5, abs=1e-6)


def test_shots_are_exclusive_bounds() -> None:
    logits, targets = some()
    recall = np.array(measured(logits, targets).compute()["class_accuracy"])
    values = measured(logits, targets, shots=(50, 50)).compute()
    assert values["many_accuracy"] == pytest.approx(recall[:2].mean())
    assert values["medium_accuracy"] == pytest.approx(recall[2])
    assert values["few_accuracy"] == pytest.approx(recall[3:].mean())
    values = measured(logits, targets, shots=(0, 10)).compute()
    assert values["many_accuracy"] == pytest.approx(values["balanced_accuracy"])
    assert not {"medium_accuracy", "few_accuracy"} & set(values)


def test_classes_without_test_examples_count_nowhere() -> None:
    logits, targets = some()
    here = targets < 4
    values = measured(logits[here], targets[here]).compute()
    predicted = logits[here].argmax(1)
    assert (predicted == 4).any()
    recall = recall_score(targets[here], predicted, average=None, labels=range(4))
    assert values["balanced_accuracy"] == pytest.approx(recall.mean())
    assert math.isnan(values["class_accuracy"][4])
    assert "few_accuracy" not in values


def test_sums_of_processes_are_the_whole() -> None:
    logits, targets = some()
    whole = measured(logits, targets)
    first, second = measured(logits[:300], targets[:300]), measured(logits[300:], targets[300:])
    for name, value in first.state.items():
        value += second.state[name]
    assert first.confusion() == whole.confusion()
    assert first.compute() == pytest.approx(whole.compute(), abs=1e-12)


def test_order_and_batches_do_not_matter() -> None:
    logits, targets = some()
    expected = measured(logits, targets, batch=700).compute()
    order = torch.randperm(700, generator=torch.Generator().manual_seed(1))
    for batch in (1, 64):
        values = measured(logits[order], targets[order], batch=batch).compute()
        assert values == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_single(dtype: torch.dtype) -> None:
    logits, targets = some()
    low = logits.to(dtype)
    assert measured(low, targets).compute() == pytest.approx(measured(low.float(), targets).compute())


def test_extreme_logits_stay_finite() -> None:
    logits = torch.tensor([[1e4, -1e4], [-1e4, 1e4]])
    values = measured(logits, torch.tensor([0, 0])).compute()
    assert values["nll"] == pytest.approx(1e4)
    assert values["ece"] == pytest.approx(0.5)


def test_nothing_measured_is_nan() -> None:
    values = ClassificationMetrics(K, torch.tensor(COUNTS)).compute()
    assert all(np.isnan(value).all() for value in values.values())
    assert "accuracy" in values
    assert "many_accuracy" not in values


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_updates_do_not_wait_for_the_device() -> None:
    logits, targets = some()
    expected = measured(logits, targets).compute()
    metrics = ClassificationMetrics(K, COUNTS, device="cuda")
    parts = [(z.cuda(), y.cuda()) for z, y in zip(logits.split(128), targets.split(128), strict=True)]
    torch.cuda.set_sync_debug_mode("error")
    try:
        for part, labels in parts:
            metrics.update(part, labels)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert metrics.compute() == pytest.approx(expected, abs=1e-9)
