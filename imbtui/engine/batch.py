"""One batch on the training device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """N examples on the training device.

    Attributes:
        x: inputs, (N, C, H, W) or (N, D), floating point; or tokens (N, T) int64.
        y: labels to train on, (N,) int64; in a regression task real numbers of the type of `x`.
        index: position of each example in its split, (N,) int64.
        clean_targets: labels before noise, (N,), of the type of `y`.
        is_corrupted: whether a corruption changed the example, (N,) bool.
        group: sub-population, (N,) int64, or None.
        terms: batches of N whose labels the loss of this batch's logits is taken against, each with its
            coefficient; empty unless a method mixes labels: then this batch's own are meant.
    """

    x: Tensor
    y: Tensor
    index: Tensor
    clean_targets: Tensor
    is_corrupted: Tensor
    group: Tensor | None = None
    terms: tuple[tuple[Batch, float | Tensor], ...] = ()

    def __len__(self) -> int:
        return len(self.y)

    def take(self, order: Tensor) -> Batch:
        """Return the examples at positions `order` of the batch, (M,) int64, without terms."""
        parts = {name: getattr(self, name)[order] for name in EACH}
        return Batch(**parts, group=None if self.group is None else self.group[order])


EACH = ("x", "y", "index", "clean_targets", "is_corrupted")


def joined(batches: Sequence[Batch]) -> Batch:
    """Return one or more batches as one, without terms."""
    parts = {name: torch.cat([getattr(batch, name) for batch in batches]) for name in EACH}
    groups = [batch.group for batch in batches if batch.group is not None]
    return Batch(**parts, group=torch.cat(groups) if groups else None)
