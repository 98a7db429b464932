"""Every image brought to mean 0 and standard deviation 1 on its own."""

from __future__ import annotations

import math

from torch import Tensor


def standardise(x: Tensor) -> Tensor:
    """Return (x - mean) / max(std, 1 / sqrt(numel)) over all values of each example (zhang2017 §4).

    The deviation is the population's. Its bound keeps an image of one colour finite.

    Args:
        x: inputs (N, ...), floating point.
    """
    flat = x.flatten(1)
    centred = flat - flat.mean(1, keepdim=True)
    deviation = centred.square().mean(1, keepdim=True).sqrt()
    return (centred / deviation.clamp_min(1 / math.sqrt(flat.shape[1]))).view(x.shape)
