"""One batch on the training device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

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
        terms: the targets the loss is taken against with their coefficients; one entry `(y, 1.0)`
            unless a method mixes labels.
    """

    x: Tensor
    y: Tensor
    index: Tensor
    clean_targets: Tensor
    is_corrupted: Tensor
    group: Tensor | None = None
    terms: tuple[tuple[Tensor, float | Tensor], ...] = ()

    def __post_init__(self) -> None:
        if not self.terms:
            object.__setattr__(self, "terms", ((self.y, 1.0),))

    def __len__(self) -> int:
        return len(self.y)

    def with_targets(self, y: Tensor) -> Batch:
        """Return the batch with other labels and a single term."""
        return replace(self, y=y, terms=((y, 1.0),))


def joined(batches: Sequence[Batch]) -> Batch:
    """Return one or more batches as one, with a single term."""
    parts = {
        name: torch.cat([getattr(batch, name) for batch in batches])
        for name in ("x", "y", "index", "clean_targets", "is_corrupted")
    }
    groups = [batch.group for batch in batches if batch.group is not None]
    return Batch(**parts, group=torch.cat(groups) if groups else None)
