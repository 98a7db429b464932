"""Magnitude pruning: how many weights go, which ones, and what remains (frankle2019 §2, §3)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

Rule = Literal["google", "open_lth"]


def prune_count(rate: float, survivors: int, *, compat: Rule | None = None, elsewhere: int = 0) -> int:
    """Return how many of a scope's surviving weights one round removes.

    frankle2019 §3: `round_half_even(rate * survivors)`. `google` removes the weight at that rank too.
    `open_lth` removes one more than `ceil(rate * all survivors)`, where `elsewhere` survivors of layers
    that are never pruned are counted, though none of them is removed. Ties at the threshold go as well
    under either.

    Args:
        rate: share to remove, in [0, 1].
        survivors: weights of the scope that are left.
        compat: whose released code to follow; None: the rule of the specification.
        elsewhere: weights left in layers that are never pruned; only `open_lth` asks.
    """
    if compat == "open_lth":
        return math.ceil(rate * (survivors + elsewhere)) + 1
    return round(rate * survivors) + (compat == "google")


def remaining_counts(
    size: int, rate: float, rounds: int, *, compat: Rule | None = None, elsewhere: int = 0
) -> list[int]:
    """Return the weights left of a scope after 0, 1, ..., `rounds` rounds, without ties (frankle2019 §5).

    Args:
        size: weights of the scope.
        rate: share of the survivors to remove in each round.
        rounds: number of rounds.
        compat, elsewhere: see `prune_count`.
    """
    counts = [size]
    for _ in range(rounds):
        gone = prune_count(rate, counts[-1], compat=compat, elsewhere=elsewhere)
        counts.append(max(0, counts[-1] - gone))
    return counts


def one_shot_rate(rate: float, rounds: int) -> float:
    """Return the rate of one pruning that equals `rounds` of them: 1 - (1 - rate)^rounds (frankle2019 §3)."""
    return 1 - (1 - rate) ** rounds


def magnitude_masks(
    weights: Sequence[Tensor],
    masks: Sequence[Tensor],
    rate: float,
    *,
    compat: Rule | None = None,
    elsewhere: int = 0,
    allow_empty: bool = False,
) -> list[Tensor]:
    """Return the masks of one scope after a round: the survivors of least magnitude are removed.

    Of equal magnitudes the earlier one goes first, in the order of `weights` and, within a tensor, of its
    elements (C order). Removed weights never return, whatever their values (frankle2019 §3).

    Args:
        weights: tensors that are ranked together: one layer, or all layers.
        masks: bool tensors of the same shapes; true where a weight survives.
        rate: share of the survivors to remove, in [0, 1].
        compat, elsewhere: see `prune_count`.
        allow_empty: permit that nothing is left.

    Raises:
        ValueError: nothing would be left.
    """
    magnitudes = torch.cat([w.detach()[m].abs() for w, m in zip(weights, masks, strict=True)])
    survivors = len(magnitudes)
    count = prune_count(rate, survivors, compat=compat, elsewhere=elsewhere)
    if count >= survivors:
        keep = torch.zeros_like(magnitudes, dtype=torch.bool)
    elif compat is None:
        keep = torch.ones_like(magnitudes, dtype=torch.bool)
        keep[torch.argsort(magnitudes, stable=True)[:count]] = False
    else:
        keep = magnitudes > magnitudes.sort().values[count - 1]
    if not allow_empty and not keep.any():
        raise ValueError(f"no weight would be left of {survivors}")
    return _scatter(keep, masks)


def shuffled_masks(
    masks: Sequence[Tensor], generator: torch.Generator, *, across_layers: bool = False
) -> list[Tensor]:
    """Return masks with as many survivors, at random places (frankle2019 §3, `random_mask`).

    Args:
        masks: bool tensors.
        generator: on the CPU, so that a seed means the same masks on every device.
        across_layers: shuffle over all tensors together instead of within each.
    """
    if across_layers:
        flat = torch.cat([m.flatten() for m in masks])
        everywhere = [torch.ones_like(m) for m in masks]
        return _scatter(flat[torch.randperm(len(flat), generator=generator).to(flat.device)], everywhere)
    return [
        m.flatten()[torch.randperm(m.numel(), generator=generator).to(m.device)].view(m.shape) for m in masks
    ]


def largest_masks(weights: Sequence[Tensor], masks: Sequence[Tensor]) -> list[Tensor]:
    """Return the masks of one scope with as many survivors, those of largest magnitude.

    Of initial weights this is pruning before training (frankle2019 §3, `prune_at_init`). Of equal
    magnitudes the earlier one goes first, as in `magnitude_masks`.

    Args:
        weights: tensors that are ranked together: one layer, or all layers.
        masks: bool tensors of the same shapes; only the number of survivors counts.
    """
    magnitudes = torch.cat([w.detach().abs().flatten() for w in weights])
    gone = len(magnitudes) - sum(int(mask.sum()) for mask in masks)
    keep = torch.ones_like(magnitudes, dtype=torch.bool)
    keep[torch.argsort(magnitudes, stable=True)[:gone]] = False
    return _scatter(keep, [torch.ones_like(mask) for mask in masks])


def noisy_weights(weight: Tensor, c: float, generator: torch.Generator) -> Tensor:
    """Return theta + N(0, (c sigma)^2), sigma the deviation of the layer's weights (frankle2019 §3, `noise`).

    Args:
        weight: initial weights of a layer, all of them.
        c: how many deviations; 0.5, 1, 2 and 3 in the paper.
        generator: on the CPU.
    """
    drawn = torch.randn(weight.shape, generator=generator, dtype=weight.dtype).to(weight.device)
    return weight + c * weight.std() * drawn


def resampled_weights(weight: Tensor, mask: Tensor, generator: torch.Generator) -> Tensor:
    """Return weights drawn anew from those that survive (frankle2019 §3, `reinit_from_ticket`).

    Args:
        weight: initial weights of a layer.
        mask: true where one survives; somewhere.
        generator: on the CPU; draws with replacement.
    """
    survivors = weight[mask]
    chosen = torch.randint(len(survivors), (weight.numel(),), generator=generator)
    return survivors[chosen.to(weight.device)].view(weight.shape)


def density(masks: Sequence[Tensor], unpruned: int = 0) -> float:
    """Return P_m = ||m||_0 / |theta| (frankle2019 §2).

    Args:
        masks: bool tensors of the layers that are pruned.
        unpruned: weights of the layers that never are; they count above and below the line.
    """
    total = sum(m.numel() for m in masks) + unpruned
    return (sum(int(m.sum()) for m in masks) + unpruned) / total


def _scatter(values: Tensor, places: Sequence[Tensor]) -> list[Tensor]:
    """Return bool tensors with `values` at the true places, in order, and false elsewhere."""
    parts = values.split([int(place.sum()) for place in places])
    return [
        torch.zeros_like(place).masked_scatter_(place, part)
        for place, part in zip(places, parts, strict=True)
    ]
