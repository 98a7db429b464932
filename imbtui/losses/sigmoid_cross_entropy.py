"""Sigmoid cross-entropy: a yes or no to every class, added up."""

from __future__ import annotations

import math
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn


class SigmoidCrossEntropy(nn.Module):
    """The sigmoid loss of kornblith2021 §2. The shift is what biases would start from; predictions keep.

    Args:
        class_counts: training examples a class; not used.
        shift: what is subtracted from every logit: `log_classes`, log K; `log_others`, log(K - 1), at
            which each class has the probability 1/K at first; `none`.
    """

    def __init__(
        self, class_counts: Tensor, *, shift: Literal["log_classes", "log_others", "none"] = "log_classes"
    ) -> None:
        super().__init__()
        self.shift = shift

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Map logits (N, K) and labels (N,) to one value a sample, (N,)."""
        classes = logits.shape[1]
        shifts = {"log_classes": math.log(classes), "log_others": math.log(max(1, classes - 1)), "none": 0.0}
        return sigmoid_cross_entropy_loss(logits, targets, shifts[self.shift])


def sigmoid_cross_entropy_loss(logits: Tensor, targets: Tensor, shift: float) -> Tensor:
    """Return sum_k BCE(z_k - shift, t_k), t one-hot, (N,) (kornblith2021 §2).

    Args:
        logits: z, (N, K).
        targets: (N,) int64.
        shift: log K in the paper.
    """
    one_hot = F.one_hot(targets, logits.shape[1]).to(logits.dtype)
    return F.binary_cross_entropy_with_logits(logits - shift, one_hot, reduction="none").sum(1)


build = SigmoidCrossEntropy
