"""Linear least squares."""

from __future__ import annotations

import torch
from torch import Tensor


def weighted_least_squares(
    features: Tensor, targets: Tensor, weights: Tensor | None = None, *, intercept: bool = True
) -> tuple[Tensor, Tensor]:
    """Return W, (K, D), and b, (K,), that minimise sum_i w_i ||W x_i + b - y_i||^2 (lu2021 §3.1, IWERM).

    Computed in float64 on the CPU; of several solutions that of least norm. Without intercept b is 0.

    Args:
        features: (N, D).
        targets: (N, K).
        weights: at least 0, (N,); None: all ones.
        intercept: whether b is free; it is not penalised.
    """
    x, y = features.double().cpu(), targets.double().cpu()
    if intercept:
        x = torch.cat([x, torch.ones(len(x), 1, dtype=x.dtype)], dim=1)
    if weights is not None:
        root = weights.double().cpu().sqrt()[:, None]
        x, y = root * x, root * y
    solution = torch.linalg.lstsq(x, y, driver="gelsd").solution.T.to(features)
    if intercept:
        return solution[:, :-1], solution[:, -1]
    return solution, solution.new_zeros(len(solution))
