"""Combining the answers of several networks."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor


def plurality(votes: Tensor, num_classes: int) -> Tensor:
    """Return the class that most members predict, (N,); of equal numbers the first (nakkiran2019 §6).

    Args:
        votes: predicted classes, (members, N) int64.
        num_classes: number of classes.
    """
    return F.one_hot(votes, num_classes).sum(0).argmax(1)


def predicted_classes(logits: Tensor) -> Tensor:
    """Return the predicted class of each example, (N,); members' probabilities are averaged.

    Args:
        logits: (N, K), or (members, N, K).
    """
    return (logits.softmax(-1).mean(0) if logits.dim() == 3 else logits).argmax(-1)


def joint_logits(logits: Tensor) -> Tensor:
    """Return logits (N, K) of the averaged probabilities of members; a single network's own unchanged.

    Args:
        logits: (N, K), or (members, N, K).
    """
    if logits.dim() == 2:
        return logits
    return logits.log_softmax(-1).logsumexp(0) - math.log(len(logits))
