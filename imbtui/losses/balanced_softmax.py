"""Balanced softmax: cross-entropy of the logits plus the logarithm of each class's share of the data."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imbtui.numerics.vector_scaling import require_examples, vs_loss, vs_offsets


class BalancedSoftmax(nn.Module):
    """Logit adjustment with tau 1, which is `vs` with gamma 0 and tau 1 (kini2021 §7).

    Args:
        class_counts: training examples a class, (K,); all above 0.

    Raises:
        UserError: a class has no examples.
    """

    offsets: Tensor

    def __init__(self, class_counts: Tensor) -> None:
        super().__init__()
        require_examples(class_counts, "balanced_softmax")
        self.register_buffer("offsets", vs_offsets(class_counts, 1.0))

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Map logits (N, K) and labels (N,) to one value a sample, (N,)."""
        return vs_loss(logits, targets, torch.ones_like(self.offsets), self.offsets)


build = BalancedSoftmax
