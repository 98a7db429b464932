"""Savage loss: bounded in the probability of the given class (Masnadi-Shirazi and Vasconcelos 2008)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Savage(nn.Module):
    """The savage loss of softmax probabilities.

    Args:
        class_counts: training examples a class; not used.
    """

    def __init__(self, class_counts: Tensor) -> None:
        super().__init__()

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Map logits (N, K) and labels (N,) to one value a sample, (N,)."""
        return savage_loss(logits, targets)


def savage_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Return mean_k (1 + exp(2 y_k p_k))^-2, p = softmax(logits), y one-hot, (N,) (patrini2017 §2.3).

    A class that is not given adds 1/4, whatever its output.

    Args:
        logits: (N, K).
        targets: (N,) int64.
    """
    own = logits.softmax(1).gather(1, targets.unsqueeze(1)).squeeze(1)
    others = (logits.shape[1] - 1) / 4
    return (torch.sigmoid(-2 * own) ** 2 + others) / logits.shape[1]


build = Savage
