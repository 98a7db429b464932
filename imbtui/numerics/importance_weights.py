"""Importance weights w = p_test / p_train: tamer forms of them, risks under them, and how uneven they are.

All functions take and return tensors of one floating-point type on one device.
"""

from __future__ import annotations

import torch
from torch import Tensor


def weighted_risk(losses: Tensor, weights: Tensor) -> Tensor:
    """Return (1/n) sum_i w_i l_i, (): with the true ratio, consistent for the test risk (lu2021 §3.1).

    Of losses on a held-out fold, with the full weights whatever the predictor was trained with, this is the
    fold's risk in importance-weighted cross-validation.
    """
    return (weights * losses).mean()


def flattened_weights(weights: Tensor, gamma: float) -> Tensor:
    """Return w^gamma, (N,) (lu2021 §3.1): gamma 0 is plain risk minimisation, also where w is 0; 1 is w.

    Args:
        weights: at least 0, (N,).
        gamma: in [0, 1].
    """
    return weights**gamma


def relative_weights(weights: Tensor, alpha: float) -> Tensor:
    """Return p_test / (alpha p_test + (1 - alpha) p_train) = w / (alpha w + 1 - alpha), (N,) (lu2021 §3.1).

    No weight exceeds 1 / alpha.

    Args:
        weights: at least 0, (N,).
        alpha: in [0, 1); 0 is w.
    """
    return weights / (alpha * weights + (1 - alpha))


def effective_sample_size(weights: Tensor) -> Tensor:
    """Return (sum w)^2 / sum w^2, () (lu2021 §3.1): N for equal weights, 1 when one holds everything.

    It is 0 where all weights are 0.
    """
    squares = weights.square().sum()
    return weights.sum().square() / squares.clamp_min(torch.finfo(weights.dtype).tiny)


def share_on(weights: Tensor, chosen: Tensor) -> Tensor:
    """Return the share of all weight that lies on the chosen examples, () (lu2021 §8B); 0 without weight.

    Args:
        weights: at least 0, (N,).
        chosen: (N,) bool.
    """
    return (weights * chosen).sum() / weights.sum().clamp_min(torch.finfo(weights.dtype).tiny)


def label_ratio(train_counts: Tensor, test_counts: Tensor) -> Tensor:
    """Return w(y) = p_test(y) / p_train(y) from label counts, (K,) float64 (lu2021 §2: class-prior shift).

    A class without training examples has weight 0: no example carries it.
    """
    train, test = train_counts.double(), test_counts.double()
    ratio = (test / test.sum()) / (train / train.sum())
    return torch.where(train > 0, ratio, 0.0)
