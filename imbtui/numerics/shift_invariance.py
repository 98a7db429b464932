"""Circular shifts of images: what they leave alone, and what that costs a classifier (singla2021)."""

from __future__ import annotations

from math import prod, sqrt

import torch
from torch import Tensor


def dc_component(x: Tensor) -> Tensor:
    """Return f_dc(x) = sum(x) / sqrt(d) of each signal, (N,); no shift changes it (singla2021 §Mathematics).

    Args:
        x: signals (N, ...) of d values each.
    """
    flat = x.flatten(1)
    return flat.sum(1) / sqrt(flat.shape[1])


def invariant_margin(first: Tensor, second: Tensor) -> float:
    """Return the widest gap between all shifts of two sets, by a linear function (singla2021 §Mathematics).

    It is the gap between their DC components; the distance of the closest signal from the boundary is
    half of it. Not positive: no linear function separates all shifts of one set from all of the other.

    Args:
        first, second: DC components of the two sets, (N,) and (M,).
    """
    return float(torch.maximum(second.min() - first.max(), first.min() - second.max()))


def constant_attack(x: Tensor, boundary: float) -> Tensor:
    """Return the closest signals whose DC component is `boundary`: x + (b - f_dc(x)) 1 / sqrt(d).

    A shift-invariant linear classifier cannot tell which side they are on (singla2021 §Mathematics,
    minimal shift-invariant attack). The l2 distance is |b - f_dc(x)|, the l_inf distance that over
    sqrt(d).

    Args:
        x: signals (N, ...) of d values each.
        boundary: b.
    """
    shift = (boundary - dc_component(x)) / sqrt(prod(x.shape[1:]))
    return x + shift.view(-1, *[1] * (x.dim() - 1))


def all_shifts(x: Tensor) -> Tensor:
    """Return every circular shift of images (N, C, H, W), as (N, H W, C, H, W); the image itself first."""
    height, width = x.shape[-2:]
    moved = [x.roll((row, column), (-2, -1)) for row in range(height) for column in range(width)]
    return torch.stack(moved, 1)


def shifted(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return each image (N, C, H, W) moved circularly by its own rows and columns, both (N,) int64."""
    height, width = x.shape[-2:]
    row = (torch.arange(height, device=x.device) - rows[:, None]) % height
    column = (torch.arange(width, device=x.device) - columns[:, None]) % width
    image = torch.arange(len(x), device=x.device)[:, None, None]
    return x.movedim(1, -1)[image, row[:, :, None], column[:, None, :]].movedim(-1, 1)
