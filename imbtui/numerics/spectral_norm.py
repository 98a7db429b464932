"""Largest singular values by power iteration, and weights that are shrunk to keep them below a bound."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Operator = Callable[[Tensor, Tensor], Tensor]
"""What a layer without bias does: maps a weight and an input, (1, ...), to the output; linear in both."""


def power_iteration(
    apply: Operator, weight: Tensor, v: Tensor, u: Tensor, iterations: int
) -> tuple[Tensor, Tensor]:
    """Return v and u after some rounds of v <- A^T u / |A^T u|, u <- A v / |A v| (liu2020 §1).

    Args:
        apply: the layer; A is what it does to inputs under `weight`.
        weight: as stored; no gradient is taken.
        v: right singular vector so far, of the shape of one input (1, ...).
        u: left one, of the shape of one output (1, ...).
        iterations: rounds.
    """
    weight = weight.detach()
    for _ in range(iterations):
        v = _normalised(_adjoint(apply, weight, v, u))
        u = _normalised(apply(weight, v))
    return v, u


def largest_singular_value(apply: Operator, weight: Tensor, v: Tensor, u: Tensor) -> Tensor:
    """Return sigma = u^T A v, (), differentiable in `weight` (liu2020 §1)."""
    return (u * apply(weight, v)).sum()


def soft_bound(weight: Tensor, sigma: Tensor, bound: float) -> Tensor:
    """Return W min(1, c / sigma): it only shrinks, never grows (liu2020 §1).

    Args:
        weight: W.
        sigma: its largest singular value, ().
        bound: c.
    """
    return weight * (bound / sigma).clamp(max=1)


def _adjoint(apply: Operator, weight: Tensor, v: Tensor, u: Tensor) -> Tensor:
    """Return A^T u: the gradient of u^T A v in v, whatever v is."""
    with torch.enable_grad():
        at = torch.zeros_like(v, requires_grad=True)
        (gradient,) = torch.autograd.grad(apply(weight, at), at, u)
    return gradient


def _normalised(vector: Tensor) -> Tensor:
    return F.normalize(vector.flatten(), dim=0).view(vector.shape)
