"""Focal loss: cross-entropy that fades for samples that are classified well already."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imbtui.option_types import NonNegative


class Focal(nn.Module):
    """The focal baseline of cao2019 §2.4. Class weights multiply it from outside, undistorted.

    Args:
        class_counts: training examples a class; not used.
        gamma: strength; 0 is cross-entropy.
    """

    def __init__(self, class_counts: Tensor, *, gamma: NonNegative = 1.0) -> None:
        super().__init__()
        self.gamma = gamma

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Map logits (N, K) and labels (N,) to one value a sample, (N,)."""
        return focal_loss(logits, targets, self.gamma)


def focal_loss(logits: Tensor, targets: Tensor, gamma: float) -> Tensor:
    """Return (1 - p)^gamma * l with l the cross-entropy and p = exp(-l), (N,) (cao2019 §2.4).

    The paper's code takes p from the class-weighted l (cao2019 §8.4); here p is the probability itself.

    Args:
        logits: (N, K).
        targets: (N,) int64.
        gamma: at least 0.
    """
    losses = F.cross_entropy(logits, targets, reduction="none")
    missing = -torch.expm1(-losses)
    # At p = 1 a gamma below 1 has an infinite slope, which times l = 0 would be NaN.
    return missing.clamp_min(torch.finfo(losses.dtype).tiny) ** gamma * losses


build = Focal
