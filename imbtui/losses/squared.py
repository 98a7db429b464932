"""Squared error: of a real-valued target, or of class scores against one large and K - 1 zero targets."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imbtui.option_types import Positive

TASKS = ("classification", "regression")


class Squared(nn.Module):
    """The squared loss. A real-valued target has no options; those here are for class labels.

    Args:
        class_counts: training examples a class; not used.
        kappa: weight of the true class's score (kornblith2021 §2: 9 on ImageNet).
        target: what the true class's score should be (kornblith2021 §2: 60).
        scale: multiplies the loss (kornblith2021 §2: 10).
        class_reduction: `mean` over classes, or `sum` as in the released code of kornblith2021.
    """

    def __init__(
        self,
        class_counts: Tensor,
        *,
        kappa: Positive = 1.0,
        target: Positive = 1.0,
        scale: Positive = 1.0,
        class_reduction: Literal["mean", "sum"] = "mean",
    ) -> None:
        super().__init__()
        self.kappa = kappa
        self.target = target
        self.scale = scale
        self.class_reduction: Literal["mean", "sum"] = class_reduction

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Map predictions (N, 1) and real targets, or logits (N, K) and labels, to one value each, (N,)."""
        if targets.is_floating_point():
            return squared_error(logits, targets)
        losses = class_squared_error(logits, targets, kappa=self.kappa, target=self.target)
        divisor = logits.shape[1] if self.class_reduction == "mean" else 1
        return self.scale / divisor * losses


def squared_error(predictions: Tensor, targets: Tensor) -> Tensor:
    """Return (f(x) - y)^2, (N,), for predictions (N, 1) and real targets (N,) (lu2021 §3.5)."""
    return (predictions.squeeze(1) - targets).square()


def class_squared_error(logits: Tensor, labels: Tensor, *, kappa: float, target: float) -> Tensor:
    """Return kappa (z_y - target)^2 + sum_{k != y} z_k^2, (N,) (kornblith2021 §2)."""
    own = F.one_hot(labels, logits.shape[1]).bool()
    return torch.where(own, kappa * (logits - target).square(), logits.square()).sum(1)


build = Squared
