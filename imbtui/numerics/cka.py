"""Centred kernel alignment: how alike two layers represent the same examples (kornblith2021 §5).

Rows are examples; those of both arguments are the same ones in the same order. All is float64.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

FEWEST = 4
"""Examples that the unbiased estimate of HSIC needs."""


def linear_gram(x: Tensor) -> Tensor:
    """Return X X^T, (N, N), of features (N, D)."""
    x = x.double()
    return x @ x.T


def rbf_gram(x: Tensor, threshold: float = 1.0) -> Tensor:
    """Return exp(-d^2 / (2 s^2)), (N, N), with s^2 = threshold^2 * median of all d^2 (kornblith2021 §5).

    Args:
        x: features (N, D), no two thirds of them alike.
        threshold: bandwidth over the median distance.
    """
    gram = linear_gram(x)
    norms = gram.diagonal()
    squared = (norms.unsqueeze(0) + norms.unsqueeze(1) - 2 * gram).clamp_min(0)
    ordered = squared.flatten().sort().values
    median = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    return (-squared / (2 * threshold**2 * median)).exp()


def centred(gram: Tensor) -> Tensor:
    """Return H K H with H = I - 1 1^T / N: the Gram matrix of centred features."""
    return gram - gram.mean(0, keepdim=True) - gram.mean(1, keepdim=True) + gram.mean()


def hsic(k: Tensor, l: Tensor) -> float:  # noqa: E741  the formula's name
    """Return sum_ij (H K H)_ij (H L H)_ij, the biased estimate but for its factor (kornblith2021 §5)."""
    return float((centred(k) * centred(l)).sum())


def hsic_unbiased(k: Tensor, l: Tensor) -> float:  # noqa: E741  the formula's name
    """Return HSIC_1, the unbiased estimate of Song et al. (kornblith2021 §5).

    With zeroed diagonals: [tr(K L) + (1'K1)(1'L1) / ((n-1)(n-2)) - 2/(n-2) 1'KL1] / (n (n-3)).

    Args:
        k, l: Gram matrices (N, N), N at least 4.

    Raises:
        ValueError: there are fewer than 4 examples.
    """
    n = len(k)
    if n < FEWEST:
        raise ValueError(f"{n} examples are too few for an unbiased estimate; it needs {FEWEST}")
    k, l = (gram - gram.diagonal().diag() for gram in (k, l))  # noqa: E741
    trace = (k * l.T).sum()
    both = k.sum() * l.sum() / ((n - 1) * (n - 2))
    crossed = 2 / (n - 2) * (k.sum(0) @ l.sum(1))
    return float((trace + both - crossed) / (n * (n - 3)))


def aligned(between: float, first: float, second: float) -> float:
    """Return HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)); NaN where a denominator is not positive."""
    scale = first * second
    return between / math.sqrt(scale) if first > 0 and second > 0 and scale > 0 else math.nan


def cka(k: Tensor, l: Tensor, *, debiased: bool = False) -> float:  # noqa: E741  the formula's name
    """Return the alignment of two Gram matrices (N, N) (kornblith2021 §5).

    Biased: in [0, 1]. Debiased: each HSIC is estimated without bias; their ratio may be negative, and is
    still biased.
    """
    estimate = hsic_unbiased if debiased else hsic
    return aligned(estimate(k, l), estimate(k, k), estimate(l, l))


def linear_cka(x: Tensor, y: Tensor, *, debiased: bool = False) -> float:
    """Return the linear CKA of two sets of features (kornblith2021 §5).

    Biased: ||X'Y||_F^2 / (||X'X||_F ||Y'Y||_F) with centred columns, computed without N x N matrices where
    both are narrower than N; it equals the form of Gram matrices.

    Args:
        x: (N, D).
        y: (N, E).
        debiased: see `cka`.
    """
    if debiased or max(x.shape[1], y.shape[1]) >= len(x):
        return cka(linear_gram(x), linear_gram(y), debiased=debiased)
    x, y = (features.double() - features.double().mean(0) for features in (x, y))
    return aligned(*(float((a.T @ b).square().sum()) for a, b in ((x, y), (x, x), (y, y))))


def minibatch_cka(pairs: Iterable[tuple[Tensor, Tensor]]) -> float:
    """Return linear CKA from batches: each of the three HSIC_1 is averaged first (kornblith2021 §5).

    Batches of fewer than 4 examples are left out.

    Args:
        pairs: features of the same examples, (n, D) and (n, E), batch by batch.
    """
    sums = torch.zeros(3, dtype=torch.float64)
    for x, y in pairs:
        if len(x) >= FEWEST:
            k, l = linear_gram(x), linear_gram(y)  # noqa: E741
            estimates = hsic_unbiased(k, l), hsic_unbiased(k, k), hsic_unbiased(l, l)
            sums += torch.tensor(estimates, dtype=torch.float64)
    return aligned(*sums.tolist())
