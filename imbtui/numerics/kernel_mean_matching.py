"""Kernel mean matching: weights that move the training sample's mean in feature space onto the test sample's.

The quadratic programme is solved by projected gradient steps on the tensors' own device, without a
solver on the CPU and without waiting for the device: it runs inside every training step (lu2021 §3.6).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

RIDGE = 1e-5
RESTART = 100


def matching_programme(
    train_kernel: Tensor, cross_kernel: Tensor, *, ridge: float = RIDGE
) -> tuple[Tensor, Tensor]:
    """Return K, (N, N), and kappa, (N,), of min_b b'Kb/2 - kappa'b (lu2021 §3.3).

    Args:
        train_kernel: k(x_i, x_j) between training examples, (N, N).
        cross_kernel: k(x_i, z_j) between training and test examples, (N, M).
        ridge: added to the diagonal of K.
    """
    train, test = cross_kernel.shape
    diagonal = ridge * torch.eye(train, dtype=train_kernel.dtype, device=train_kernel.device)
    return train_kernel + diagonal, train / test * cross_kernel.sum(1)


def default_slack(train: int) -> float:
    """Return epsilon = (sqrt(N) - 1) / sqrt(N), by which the mean weight may differ from 1 (lu2021 §3.3)."""
    return (math.sqrt(train) - 1) / math.sqrt(train)


def matching_objective(kernel: Tensor, kappa: Tensor, weights: Tensor) -> Tensor:
    """Return b'Kb/2 - kappa'b, () (lu2021 §3.3)."""
    return 0.5 * weights @ kernel @ weights - kappa @ weights


def matching_residual(
    kernel: Tensor, kappa: Tensor, weights: Tensor, *, bound: float, slack: float
) -> Tensor:
    """Return the largest change of a weight in a gradient step, (): 0 at the solution (lu2021 §3.3)."""
    n = len(kappa)
    step = 1 / kernel.abs().sum(1).max()
    moved = project(
        weights - step * (kernel @ weights - kappa),
        bound=bound,
        least=n * (1 - slack),
        most=n * (1 + slack),
    )
    return (moved - weights).abs().max()


def match_means(
    kernel: Tensor,
    kappa: Tensor,
    *,
    bound: float = 50.0,
    slack: float | None = None,
    iterations: int = 100,
) -> Tensor:
    """Return weights b, (N,), that minimise b'Kb/2 - kappa'b (lu2021 §3.3).

    subject to 0 <= b_i <= bound and |sum b - N| <= N slack, by `iterations` accelerated projected gradient
    steps from b = 1 of length 1 / ||K||_inf. Momentum starts anew every 100 steps. 100 steps do for
    a batch of 64, 2,000 for exact work.

    Args:
        kernel: K with its ridge, (N, N).
        kappa: (N,).
        bound: largest weight.
        slack: None: `default_slack`.
        iterations: gradient steps.
    """
    n = len(kappa)
    slack = default_slack(n) if slack is None else slack
    least, most = n * (1 - slack), n * (1 + slack)
    step = 1 / kernel.abs().sum(1).max()
    # b - step (K b - kappa) in one product.
    matrix, offset = torch.eye(n, dtype=kernel.dtype, device=kernel.device) - step * kernel, step * kappa
    weights = ahead = torch.ones_like(kappa)
    age = 1.0
    for iteration in range(iterations):
        moved = project(torch.addmv(offset, matrix, ahead), bound=bound, least=least, most=most)
        age = 1.0 if iteration % RESTART == 0 else age
        older = (1 + math.sqrt(1 + 4 * age * age)) / 2
        ahead = torch.add(moved, moved - weights, alpha=(age - 1) / older)
        weights, age = moved, older
    return weights


def project(b: Tensor, *, bound: float, least: float, most: float) -> Tensor:
    """Return the point nearest to b, (N,), in the box and the slab (lu2021 §3.3).

    Entries lie in [0, bound] and their sum in [least, most]. It is clamp(b - s, 0, bound) for one shift s;
    the sum falls piecewise linearly in s, with kinks at the entries of b and of b - bound, so s is read off
    between two kinks instead of being searched for.

    Args:
        b: any numbers.
        bound: above 0.
        least: at most N bound.
        most: at least 0.
    """
    boxed = b.clamp(0, bound)
    total = boxed.sum()
    # Asking a GPU would make it wait in every iteration; a CPU knows at once that nothing is to be done.
    if b.device.type == "cpu" and least <= float(total) <= most:
        return boxed
    wanted = total.clamp(least, most)
    kinks = torch.cat([b, b - bound]).sort().values
    sums = _sum_above(b, kinks) - _sum_above(b - bound, kinks)  # falling
    right = torch.searchsorted(-sums, -wanted).clamp(1, len(kinks) - 1)
    low, high = kinks[right - 1], kinks[right]
    above, below = sums[right - 1], sums[right]
    fall = (above - below).clamp_min(torch.finfo(b.dtype).tiny)
    shift = low + (high - low) * ((above - wanted) / fall).clamp(0, 1)
    return torch.where((total < least) | (total > most), (b - shift).clamp(0, bound), boxed)


def _sum_above(values: Tensor, levels: Tensor) -> Tensor:
    """Return sum_i max(values_i - level, 0) for each level."""
    ordered = values.sort().values
    tails = torch.cat([ordered.flip(0).cumsum(0).flip(0), ordered.new_zeros(1)])
    first = torch.searchsorted(ordered, levels)
    return tails[first] - (len(ordered) - first) * levels
