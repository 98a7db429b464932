"""Cross-entropy of logits that are scaled to one length: logit normalisation."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from imbtui.option_types import Positive

SHORTEST = 1e-6


class LogitNorm(nn.Module):
    """The logit normalisation of kornblith2021 §2. It changes no prediction, only what training rewards.

    Args:
        class_counts: training examples a class; not used.
        temperature: the logits' length is its inverse. 0.04 is for the 1,000 classes of ImageNet; choose
            it anew for other numbers of classes (§3).
    """

    def __init__(self, class_counts: Tensor, *, temperature: Positive = 0.04) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Map logits (N, K) and labels (N,) to one value a sample, (N,)."""
        return logit_norm_loss(logits, targets, self.temperature)


def logit_norm_loss(logits: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """Return the cross-entropy of z / (temperature ||z||), (N,) (kornblith2021 §2).

    A norm below 1e-6 counts as 1e-6.

    Args:
        logits: z, (N, K).
        targets: (N,) int64.
        temperature: above 0.
    """
    scaled = F.normalize(logits, dim=1, eps=SHORTEST) / temperature
    return F.cross_entropy(scaled, targets, reduction="none")


build = LogitNorm
