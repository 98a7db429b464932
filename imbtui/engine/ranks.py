"""Several processes of one run: how many there are, and what they know together."""

from __future__ import annotations

from typing import Any

import torch.distributed as dist
from torch import Tensor


def world_size() -> int:
    """Return the number of processes that train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Return the number of this process among them, from 0."""
    return dist.get_rank() if world_size() > 1 else 0


def is_main() -> bool:
    """Whether this process is rank 0, whose measurements are the ones that are logged."""
    return rank() == 0


def sum_over_ranks(*totals: Tensor) -> None:
    """Add up each tensor over all processes, in place; all of them call it with the same shapes."""
    if world_size() > 1:
        for total in totals:
            dist.all_reduce(total)


def gathered(part: list[Any]) -> list[Any]:
    """Return the entries of all processes' lists, in the order of ranks, on every process.

    Tensors in it must lie on the CPU.
    """
    if world_size() == 1:
        return part
    parts: list[list[Any]] = [[] for _ in range(world_size())]
    dist.all_gather_object(parts, part)
    return [entry for one in parts for entry in one]
