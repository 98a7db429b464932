"""Ratios of test to training density from samples, as kernel models: uLSIF, RuLSIF, KLIEP, one-step.

A model is r(x) = sum_l theta_l exp(-||x - c_l||^2 / (2 sigma^2)) with centres c_l among the test points.
`sigma` is always this width; `gamma`, in kernel mean matching, is 1 / (2 sigma^2) (lu2021 §6.7).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

WIDTHS = (0.3, 0.6, 1.0, 1.5, 2.5)
"""Widths to choose from, as multiples of the median distance (lu2021 §3.2)."""

RIDGES = (1e-3, 1e-2, 0.1, 1.0)
"""Ridges to choose from (lu2021 §3.2)."""


def squared_distances(x: Tensor, centres: Tensor) -> Tensor:
    """Return ||x_i - c_l||^2, (N, L), for points (N, D) and centres (L, D)."""
    return torch.cdist(x, centres, compute_mode="donot_use_mm_for_euclid_dist").square()


def gaussian_kernel(x: Tensor, centres: Tensor, sigma: float | Tensor) -> Tensor:
    """Return exp(-||x_i - c_l||^2 / (2 sigma^2)), (N, L) (lu2021 §3.2)."""
    return torch.exp(squared_distances(x, centres) / (-2 * sigma**2))


def median_distance(x: Tensor, *, most: int = 2000) -> Tensor:
    """Return the median distance between two of the points (N, D), (): of very many, every k-th counts."""
    return torch.pdist(x[:: -(-len(x) // most)]).median()


def ratio_moments(train_features: Tensor, test_features: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Return H = alpha mean_te phi phi' + (1 - alpha) mean_tr phi phi', (L, L), and h = mean_te phi, (L,).

    lu2021 §3.2.

    Args:
        train_features: phi of training points, (N, L).
        test_features: phi of test points, (M, L).
        alpha: 0 for uLSIF.
    """
    train = train_features.T @ train_features / len(train_features)
    test = test_features.T @ test_features / len(test_features)
    return alpha * test + (1 - alpha) * train, test_features.mean(0)


def least_squares_ratio(
    train_features: Tensor, test_features: Tensor, *, ridge: float, alpha: float = 0.0
) -> Tensor:
    """Return theta = max(0, (H + ridge I)^-1 h), (L,): uLSIF for alpha = 0, else RuLSIF (lu2021 §3.2).

    Clipping leaves a ratio that need not average 1 over the training points (lu2021 §6.6).
    """
    second, first = ratio_moments(train_features, test_features, alpha)
    identity = torch.eye(len(first), dtype=first.dtype, device=first.device)
    return torch.linalg.solve(second + ridge * identity, first).clamp_min(0)


def ratio_loss(train_ratio: Tensor, test_ratio: Tensor, alpha: float = 0.0) -> Tensor:
    """Return J = alpha/2 mean_te r^2 + (1 - alpha)/2 mean_tr r^2 - mean_te r, (): lower is better.

    lu2021 §3.2.
    """
    squares = alpha * test_ratio.square().mean() + (1 - alpha) * train_ratio.square().mean()
    return squares / 2 - test_ratio.mean()


def kliep_ratio(train_features: Tensor, test_features: Tensor, *, iterations: int = 1000) -> Tensor:
    """Return a >= 0, (L,), that maximises sum_j log w(z_j) with a mean w of 1 over training points.

    Every iteration, a_l <- a_l mean_j[k(z_j, c_l) / w(z_j)] / b_l with b_l = mean_i k(x_i, c_l), stays
    feasible and raises the objective (lu2021 §3.4).

    Args:
        train_features: k(x_i, c_l), (N, L).
        test_features: k(z_j, c_l), (M, L).
        iterations: from equal coefficients.
    """
    means = train_features.mean(0).clamp_min(torch.finfo(train_features.dtype).tiny)
    a = torch.ones_like(means)
    a = a / (a @ means)
    for _ in range(iterations):
        ratio = (test_features @ a).clamp_min(torch.finfo(a.dtype).tiny)
        a = a * (test_features / ratio[:, None]).mean(0) / means
    return a


def kliep_objective(test_features: Tensor, a: Tensor) -> Tensor:
    """Return sum_j log w(z_j), () (lu2021 §3.4)."""
    return torch.log(test_features @ a).sum()


def one_step_ratio(
    train_features: Tensor, test_features: Tensor, losses: Tensor, *, ridge: float, bound: float = 1.0
) -> Tensor:
    """Return beta = max(0, (vv' + m^2 H + ridge I)^-1 m^2 h), (L,) (lu2021 §3.5).

    The weights g = phi beta that minimise the bound on the test risk for a fixed predictor; v = mean_tr
    phi l.

    Args:
        train_features: phi of training points, (N, L).
        test_features: phi of test points, (M, L).
        losses: of the training points, (N,).
        ridge: above 0.
        bound: m, the largest value that a loss can take.
    """
    second, first = ratio_moments(train_features, test_features, 0.0)
    v = (train_features * losses[:, None]).mean(0)
    identity = torch.eye(len(first), dtype=first.dtype, device=first.device)
    matrix = torch.outer(v, v) + bound**2 * second + ridge * identity
    return torch.linalg.solve(matrix, bound**2 * first).clamp_min(0)


def one_step_objective(
    train_ratio: Tensor, test_ratio: Tensor, losses: Tensor, *, bound: float = 1.0
) -> Tensor:
    """Return (mean_tr g l)^2 + m^2 (mean_tr g^2 - 2 mean_te g), () (lu2021 §3.5).

    Up to a constant twice an upper bound on the squared test risk, whatever g >= 0.

    Args:
        train_ratio: g at the training points, (N,).
        test_ratio: g at the test points, (M,).
        losses: of the training points, (N,).
        bound: m, the largest value that a loss can take.
    """
    risk = (train_ratio * losses).mean()
    return risk.square() + bound**2 * (train_ratio.square().mean() - 2 * test_ratio.mean())


@dataclass(frozen=True)
class KernelWidth:
    """What a kernel model is made of, apart from its coefficients.

    Attributes:
        centres: (L, D).
        sigma: width of the kernel.
        ridge: lambda.
    """

    centres: Tensor
    sigma: float
    ridge: float

    def features(self, x: Tensor) -> Tensor:
        """Return phi(x), (N, L)."""
        return gaussian_kernel(x, self.centres, self.sigma)


def choose_centres(test: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """Return up to `most` different test points, drawn at random, as centres (lu2021 §3.2)."""
    if len(test) <= most:
        return test
    chosen = torch.randperm(len(test), generator=generator)[:most]
    return test[chosen.to(test.device)]


def choose_width(
    train: Tensor,
    test: Tensor,
    centres: Tensor,
    *,
    alpha: float = 0.0,
    widths: Sequence[float] = WIDTHS,
    ridges: Sequence[float] = RIDGES,
    folds: int = 5,
    generator: torch.Generator,
) -> KernelWidth:
    """Return the width and ridge with the lowest J on held-out folds of both samples (lu2021 §3.2).

    Args:
        train: training points, (N, D).
        test: test points, (M, D).
        centres: (L, D).
        alpha: of the ratio that is fitted.
        widths: multiples of the median distance of all points.
        ridges: values of lambda.
        folds: both samples are cut into as many, at random; fewer where a sample has fewer points.
        generator: draws the folds, on the CPU.

    Raises:
        ValueError: a sample has one point only.
    """
    folds = min(folds, len(train), len(test))
    if folds < 2:
        raise ValueError("a kernel width is chosen from at least two training and two test points")
    scale = median_distance(torch.cat([train, test]))
    parts = [
        (torch.randperm(len(sample), generator=generator) % folds).to(sample.device)
        for sample in (train, test)
    ]
    best, lowest = (1.0, ridges[0]), float("inf")
    for width in widths:
        sigma = float(scale) * width
        features = [gaussian_kernel(sample, centres, sigma) for sample in (train, test)]
        for ridge in ridges:
            total = 0.0
            for fold in range(folds):
                kept = [f[part != fold] for f, part in zip(features, parts, strict=True)]
                held = [f[part == fold] for f, part in zip(features, parts, strict=True)]
                theta = least_squares_ratio(kept[0], kept[1], ridge=ridge, alpha=alpha)
                total += float(ratio_loss(held[0] @ theta, held[1] @ theta, alpha))
            if total < lowest:
                best, lowest = (sigma, ridge), total
    return KernelWidth(centres, *best)
