"""How uncertain predictions are, and how well that tells unfamiliar examples from familiar ones."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]


def class_probabilities(logits: Tensor) -> Tensor:
    """Return softmax(z), (N, K) float64, of logits (N, K) or averaged over members (M, N, K).

    In float32 many confidences are exactly 1, and their order is lost (liu2020, quick study).
    """
    probabilities = logits.double().softmax(-1)
    return probabilities.mean(0) if logits.dim() == 3 else probabilities


def doubt(probabilities: Tensor) -> Tensor:
    """Return 1 - max_k p_k, (N,), as the sum of the others: small values keep their order (liu2020 §4)."""
    top = probabilities.argmax(1, keepdim=True)
    return probabilities.scatter(1, top, 0).sum(1)


def dempster_shafer(logits: Tensor) -> Tensor:
    """Return K / (K + sum_k exp z_k), (N,) float64 (liu2020 §4).

    Args:
        logits: z, (N, K), as adjusted by the method.
    """
    logits = logits.double()
    known = logits.new_full((len(logits), 1), float(np.log(logits.shape[1])))
    return torch.exp(known[:, 0] - torch.cat([known, logits], 1).logsumexp(1))


def true_negative_rate(familiar: Array, unfamiliar: Array, rate: float) -> float:
    """Return the share of familiar examples below the score that `rate` of the unfamiliar reach.

    That is 1 - FPR at a true-positive rate of at least `rate`, where unfamiliar examples are positive
    (liu2020 §Metrics).
    """
    threshold = np.sort(unfamiliar)[::-1][int(np.ceil(rate * len(unfamiliar))) - 1]
    return float((familiar < threshold).mean())


def nearest_distances(points: Array, training: Array) -> Array:
    """Return the Euclidean distance of each point (N, D) to the nearest training point (M, D), (N,)."""
    from scipy.spatial import KDTree

    return np.asarray(KDTree(training).query(points)[0])
