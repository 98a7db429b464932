"""Recall, precision and mean confidence of each class on one split."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from imbtui.engine.batch import Batch
from imbtui.engine.context import ProbeContext
from imbtui.engine.method import Probe
from imbtui.engine.ranks import sum_over_ranks
from imbtui.engine.tick import Tick
from imbtui.errors import UserError
from imbtui.probes._model import evaluating

METRICS = ("recall", "precision", "confidence")


class PerClass(Probe):
    """Runs the model over a split in evaluation mode.

    `recall`: of the examples of a class, the share predicted as it; `precision`: of those predicted as
    it, the share that is; `confidence`: mean largest probability over the examples of the class. Each is
    a list with a value a class, NaN where there is nothing to divide by.

    Args:
        split: the split to measure on.
    """

    def __init__(self, *, split: Literal["test", "val", "train"] = "test") -> None:
        self.split = split

    def setup(self, context: ProbeContext) -> None:
        """Remember the split.

        Raises:
            UserError: the run has no such split.
        """
        if self.split not in context.examples:
            raise UserError(
                f'the run has no split "{self.split}"',
                where="probes.per_class.split",
                hint="dataset.validation sets one aside.",
            )
        self.context = context

    def measure(self, objective: nn.Module, batch: Batch, t: Tick) -> dict[str, float | list[float]]:
        """Return the three lists."""
        with evaluating(objective) as model:
            confusion, confidence = self._run(model)
        right, true, predicted = confusion.diagonal(), confusion.sum(1), confusion.sum(0)
        return {
            "recall": (right / true).tolist(),
            "precision": (right / predicted).tolist(),
            "confidence": (confidence / true).tolist(),
        }

    def _run(self, model: nn.Module) -> tuple[Tensor, Tensor]:
        """Return the confusion matrix (K, K), rows true, and the sum of confidences by true class (K,)."""
        classes = self.context.num_classes
        counts = self.context.class_counts
        confusion = torch.zeros(classes, classes, dtype=torch.float64, device=counts.device)
        confidence = torch.zeros(classes, dtype=torch.float64, device=counts.device)
        for batch in self.context.batches(self.split):
            largest, predicted = model(batch.x).softmax(-1).double().max(-1)
            # Products with one-hot matrices add in a fixed order, on any device.
            is_class = torch.nn.functional.one_hot(batch.y, classes).double()
            confusion += is_class.T @ torch.nn.functional.one_hot(predicted, classes).double()
            confidence += largest @ is_class
        sum_over_ranks(confusion, confidence)
        return confusion, confidence


build = PerClass
