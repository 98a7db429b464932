"""Class weights from class counts."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor


def effective_number(class_counts: Tensor, beta: float) -> Tensor:
    """Return e_j = (1 - beta^n_j) / (1 - beta) in float64, (K,) (cao2019 §2.2).

    1 - beta^n is computed as -expm1(n log beta), which does not cancel for beta near 1.

    Args:
        class_counts: n_j, (K,).
        beta: in [0, 1]; 0 gives ones, 1 the limit e_j = n_j.
    """
    counts = class_counts.double()
    if beta == 1:
        return counts
    if beta == 0:
        return (counts > 0).double()
    return -torch.expm1(counts * math.log(beta)) / (1 - beta)


def class_weights(
    class_counts: Tensor, *, scheme: Literal["effective_number", "inverse"] = "effective_number", beta: float
) -> Tensor:
    """Return weights (K,) in float64 that sum to K, larger for rarer classes (cao2019 §2.2).

    `effective_number`: in proportion to 1 / e_j; `inverse`: to 1 / n_j. A class without examples has
    weight 0: nothing can be drawn from it, and the others still sum to K.

    Args:
        class_counts: training examples a class, (K,).
        scheme: one of the two.
        beta: of the effective number.
    """
    sizes = class_counts.double() if scheme == "inverse" else effective_number(class_counts, beta)
    return mean_one(torch.where(class_counts > 0, 1 / sizes, 0.0))


def mean_one(weights: Tensor) -> Tensor:
    """Return weights in float64 scaled to a mean of one (byrd2019 §2.1).

    Unscaled, their ratio would also change the effective learning rate.

    Args:
        weights: not all zero, (K,).
    """
    raw = weights.double()
    return raw / raw.sum() * len(raw)
