"""Losses corrected for label noise by its transition matrix, and that matrix estimated (patrini2017).

T has shape (K, K): T[i, j] is the probability that clean label i becomes j; rows clean, columns noisy.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

ROW_SUM_TOLERANCE = 1e-6


def check_transition(transition: Tensor, num_classes: int) -> None:
    """Make sure that T is a transition matrix that a loss can be corrected with (patrini2017 §2.1).

    Raises:
        ValueError: T is not (K, K), has a negative entry or a row whose sum is not 1, or a label that it
            never produces.
    """
    if transition.shape != (num_classes, num_classes):
        raise ValueError(
            f"the transition matrix has shape {list(transition.shape)} and there are {num_classes} classes"
        )
    if not bool(((transition >= 0) & transition.isfinite()).all()):
        raise ValueError("the transition matrix has an entry that is no probability")
    for row, total in enumerate(transition.sum(1).tolist()):
        if abs(total - 1) > ROW_SUM_TOLERANCE:
            raise ValueError(f"row {row} of the transition matrix sums to {total:g}, not to 1")
    for label, largest in enumerate(transition.amax(0).tolist()):
        if largest == 0:
            raise ValueError(
                f"the transition matrix never produces label {label}, so its loss would be infinite"
            )


def mix_identity(transition: Tensor, alpha: float) -> Tensor:
    """Return alpha I + (1 - alpha) T (patrini2017 §2.2)."""
    identity = torch.eye(len(transition), dtype=transition.dtype, device=transition.device)
    return alpha * identity + (1 - alpha) * transition


def invert_transition(transition: Tensor) -> Tensor:
    """Return the inverse of T in float64 (patrini2017 §2.2).

    Raises:
        ValueError: T is singular, as symmetric noise at rate (K - 1) / K is.
    """
    matrix = transition.double()
    # Inversion itself fails only on exact zeros, and rounding hides those.
    if float(torch.linalg.cond(matrix)) > 1 / torch.finfo(torch.float64).eps / len(matrix):
        raise ValueError("the transition matrix is singular: no correction can undo this noise")
    return torch.linalg.inv(matrix)


def forward_loss(logits: Tensor, targets: Tensor, log_transition: Tensor) -> Tensor:
    """Return -log sum_i p_i T[i, t], p = softmax(z), one value a sample, (N,) (patrini2017 §2.1).

    Computed as -logsumexp_i(log p_i + log T[i, t]), exact for saturated p too.

    Args:
        logits: z, (N, K).
        targets: noisy labels t, (N,) int64.
        log_transition: log T, (K, K); -inf where T is 0.
    """
    log_p = F.log_softmax(logits, dim=1)
    return -torch.logsumexp(log_p + log_transition.to(logits.dtype).T[targets], dim=1)


def backward_loss(logits: Tensor, targets: Tensor, inverse: Tensor, clip: float) -> Tensor:
    """Return sum_j (T^-1)[t, j] (-log p_j), one value a sample, (N,) (patrini2017 §2.2).

    Its mean over noisy labels is the loss of the clean label: sum_j T[i, j] loss(z, j) = -log p_i. It may be
    negative, and without clipping it is unbounded below.

    Args:
        logits: z, (N, K); p = softmax(z).
        targets: noisy labels t, (N,) int64.
        inverse: T^-1, (K, K).
        clip: p is kept within [clip, 1 - clip]; 0: not.
    """
    log_p = F.log_softmax(logits, dim=1)
    if clip:
        log_p = log_p.clamp(math.log(clip), math.log1p(-clip))
    return -(inverse.to(logits.dtype)[targets] * log_p).sum(1)


def anchors(posteriors: NDArray[np.float64], percentile: float) -> NDArray[np.int64]:
    """Return the example that stands for each class, (K,): a confident one (patrini2017 §4).

    Args:
        posteriors: predicted probabilities, (N, K); not changed.
        percentile: examples at or above this percentile of a class's probabilities are passed over (97 in
            the paper); 100: none are, the most confident one is chosen.
    """
    if percentile >= 100:
        return posteriors.argmax(0)
    limits = np.percentile(posteriors, percentile, axis=0, method="higher")
    return np.where(posteriors >= limits, 0.0, posteriors).argmax(0)


def estimate_transition(posteriors: NDArray[np.float64], percentile: float) -> NDArray[np.float64]:
    """Return T with row i the probabilities predicted for the anchor of class i, (K, K) (patrini2017 §4).

    Args:
        posteriors: predicted probabilities of noisy labels, (N, K).
        percentile: see `anchors`.
    """
    rows = posteriors[anchors(posteriors, percentile)]
    return rows / rows.sum(1, keepdims=True)


def overfiltered_classes(posteriors: NDArray[np.float64], percentile: float) -> list[int]:
    """Return the classes with no more predicted members than the percentile passes over (patrini2017 §7.3).

    Args:
        posteriors: predicted probabilities, (N, K).
        percentile: see `anchors`.
    """
    count, classes = posteriors.shape
    members = np.bincount(posteriors.argmax(1), minlength=classes)
    return np.flatnonzero(members <= (1 - percentile / 100) * count).tolist() if percentile < 100 else []


def row_l1_error(estimate: NDArray[np.float64], transition: NDArray[np.float64]) -> float:
    """Return the mean over rows of sum_j |estimate[i, j] - T[i, j]| (patrini2017 §9)."""
    return float(np.abs(estimate - transition).sum(1).mean())
