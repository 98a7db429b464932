"""How flat the representations of classes are: how few directions they vary in (verma2019)."""

from __future__ import annotations

import torch
from torch import Tensor


def class_singular_values(states: Tensor, targets: Tensor, label: int) -> Tensor:
    """Return the singular values of H_c, the centred states of one class, descending (verma2019 §Metrics).

    Args:
        states: H, (N, D).
        targets: (N,) int64.
        label: the class c, which has at least one example.
    """
    own = states[targets == label]
    return torch.linalg.svdvals(own - own.mean(0))


def participation_ratio(singular_values: Tensor) -> Tensor:
    """Return (sum s^2)^2 / sum s^4, how many directions vary, a scalar (verma2019 §Metrics).

    NaN where nothing varies.
    """
    squares = singular_values.square()
    return squares.sum().square() / squares.square().sum()


def scatter_ratio(states: Tensor, targets: Tensor) -> Tensor:
    """Return the scatter within classes over all of it, a scalar in [0, 1] (verma2019 §Metrics).

    sum_c ||H_c - mean_c||^2 / ||H - mean||^2: unlike singular values it does not change with the scale of H.

    Args:
        states: H, (N, D).
        targets: (N,) int64.
    """
    within = states.new_zeros(())
    for label in targets.unique():
        own = states[targets == label]
        within = within + (own - own.mean(0)).square().sum()
    return within / (states - states.mean(0)).square().sum()
