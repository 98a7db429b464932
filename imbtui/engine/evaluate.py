"""Evaluation: a full pass in eval mode over a split, all metrics from sums over examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from imbtui.engine.batch import Batch
from imbtui.engine.batches import Batches
from imbtui.engine.objective import Objective
from imbtui.engine.ranks import sum_over_ranks
from imbtui.engine.tick import Tick
from imbtui.numerics.classification import ClassificationMetrics
from imbtui.numerics.corrupted_accuracy import CorruptedAccuracy
from imbtui.numerics.regression import RegressionMetrics


@torch.no_grad()
def evaluate(
    objective: Objective,
    batches: Batches,
    t: Tick,
    *,
    class_counts: torch.Tensor,
    shots: Sequence[int],
) -> tuple[dict[str, Any], torch.Tensor]:
    """Return the metrics of a split by name (contract §5) and its confusion matrix, over all processes.

    Rows of the matrix, (C, C) int64 on the device, are true classes, columns predicted ones. `loss` is the
    recipe's loss in force at `t`, without weights and penalties, against the given labels.
    A split with corrupted examples has accuracies for these and for the clean ones, besides. Where there
    are no classes, predictions are real numbers and so are targets; the matrix is empty.

    Args:
        objective: evaluated in eval mode and put back into training mode.
        batches: the split.
        t: the step just done.
        class_counts: training examples a class, (C,), for many-, medium- and few-shot classes;
            empty in a regression task.
        shots: fewer than the first are few-shot, more than the second many-shot.
    """
    objective.eval()
    scores = _ClassScores(class_counts, shots) if len(class_counts) else _RealScores(class_counts.device)
    loss_sum = torch.zeros(2, dtype=torch.float64, device=class_counts.device)
    for batch in batches.evaluation():
        logits = objective.model(batch.x)
        losses = objective.sample_losses(logits, batch, t)
        loss_sum[0] += losses.sum()
        loss_sum[1] += len(losses)
        scores.update(logits, batch)
    objective.train()
    sum_over_ranks(loss_sum, *scores.sums())
    loss, count = loss_sum.tolist()
    return {"loss": loss / count, **scores.compute()}, scores.confusion


class _ClassScores:
    """Metrics of logits (N, K), or (M, N, K) of M members, against labels."""

    def __init__(self, class_counts: torch.Tensor, shots: Sequence[int]) -> None:
        device = class_counts.device
        self._metrics = ClassificationMetrics(len(class_counts), class_counts, shots, device=device)
        self._apart = CorruptedAccuracy(device=device)
        self.confusion = self._metrics.state["confusion"]

    def update(self, logits: torch.Tensor, batch: Batch) -> None:
        if logits.dim() == 3:
            logits = logits.softmax(-1).mean(0).clamp_min(1e-38).log()
        self._metrics.update(logits, batch.y)
        self._apart.update(logits, batch.y, batch.clean_targets, batch.is_corrupted)

    def sums(self) -> list[torch.Tensor]:
        return [*self._metrics.state.values(), *self._apart.state.values()]

    def compute(self) -> dict[str, Any]:
        return {**self._metrics.compute(), **self._apart.compute()}


class _RealScores:
    """Metrics of predictions (N, 1), or (M, N, 1) of M members, against real-valued targets."""

    def __init__(self, device: torch.device) -> None:
        self._metrics = RegressionMetrics(device=device)
        self.confusion = torch.zeros(0, 0, dtype=torch.int64, device=device)

    def update(self, predictions: torch.Tensor, batch: Batch) -> None:
        self._metrics.update(predictions.mean(0) if predictions.dim() == 3 else predictions, batch.y)

    def sums(self) -> list[torch.Tensor]:
        return [*self._metrics.state.values()]

    def compute(self) -> dict[str, Any]:
        return self._metrics.compute()
