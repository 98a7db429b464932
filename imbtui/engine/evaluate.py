"""Evaluation: a full pass in eval mode over a split, all metrics from sums over examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist

from imbtui.engine.batches import Batches
from imbtui.engine.objective import Objective
from imbtui.engine.tick import Tick
from imbtui.numerics.classification import ClassificationMetrics
from imbtui.numerics.corrupted_accuracy import CorruptedAccuracy


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
    A split with corrupted examples has accuracies for these and for the clean ones, besides.

    Args:
        objective: evaluated in eval mode and put back into training mode.
        batches: the split.
        t: the step just done.
        class_counts: training examples a class, (C,), for many-, medium- and few-shot classes.
        shots: fewer than the first are few-shot, more than the second many-shot.
    """
    objective.eval()
    metrics = ClassificationMetrics(len(class_counts), class_counts, shots, device=class_counts.device)
    apart = CorruptedAccuracy(device=class_counts.device)
    loss_sum = torch.zeros(2, dtype=torch.float64, device=class_counts.device)
    for batch in batches.evaluation():
        logits = objective.model(batch.x)
        losses = objective.sample_losses(logits, batch, t)
        loss_sum[0] += losses.sum()
        loss_sum[1] += len(losses)
        if logits.dim() == 3:
            logits = logits.softmax(-1).mean(0).clamp_min(1e-38).log()
        metrics.update(logits, batch.y)
        apart.update(logits, batch.y, batch.clean_targets, batch.is_corrupted)
    objective.train()
    if dist.is_available() and dist.is_initialized():
        for total in (loss_sum, *metrics.state.values(), *apart.state.values()):
            dist.all_reduce(total)
    loss, count = loss_sum.tolist()
    return {"loss": loss / count, **metrics.compute(), **apart.compute()}, metrics.state["confusion"]
