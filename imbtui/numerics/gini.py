"""How unequally a non-negative quantity is shared out."""

from __future__ import annotations

import torch
from torch import Tensor


def gini(values: Tensor) -> Tensor:
    """Return the Gini coefficient sum_i (2 i - n - 1) x_(i) / (n sum x), a scalar (arpit2017 §4.3).

    0: all are equal; (n - 1) / n: one holds everything; NaN where the sum is 0.

    Args:
        values: (n,), none negative.
    """
    ordered = values.sort().values
    count = len(ordered)
    weights = 2 * torch.arange(1, count + 1, device=ordered.device, dtype=ordered.dtype) - count - 1
    return weights @ ordered / (count * ordered.sum())
