"""Sigmoid loss: the logistic function of the margin, bounded (a baseline of Patrini et al. 2017)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Sigmoid(nn.Module):
    """The sigmoid loss of outputs that batch norm bounds: use `model.head = "batch_norm"`.

    Args:
        class_counts: training examples a class; not used.
    """

    def __init__(self, class_counts: Tensor) -> None:
        super().__init__()

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Map outputs (N, K) and labels (N,) to one value a sample, (N,)."""
        return sigmoid_loss(logits, targets)


def sigmoid_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return mean_k sigmoid(-y_k f_k), y one-hot, (N,) (patrini2017 §2.3).

    A class that is not given adds 1/2, whatever its output.

    Args:
        outputs: f, (N, K).
        targets: (N,) int64.
    """
    own = outputs.gather(1, targets.unsqueeze(1)).squeeze(1)
    others = (outputs.shape[1] - 1) / 2
    return (torch.sigmoid(-own) + others) / outputs.shape[1]


build = Sigmoid
