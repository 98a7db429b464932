"""What transformers share: attention with several heads."""

from __future__ import annotations

import math

from torch import Tensor


def attend(queries_keys_values: Tensor, heads: int, *, hidden: Tensor | None = None) -> Tensor:
    """Return what each position gathers from the others, (N, T, width).

    Args:
        queries_keys_values: the three side by side, (N, T, 3 * width).
        heads: they share the width.
        hidden: (T, T), true where a position must not see another; None: all see all.
    """
    count, length, _ = queries_keys_values.shape
    parts = queries_keys_values.view(count, length, 3, heads, -1)
    queries, keys, values = parts.permute(2, 0, 3, 1, 4)
    # Written out: the fused kernels have no second derivative, which update sharpness needs.
    scores = queries @ keys.transpose(-2, -1) / math.sqrt(queries.shape[-1])
    if hidden is not None:
        scores = scores.masked_fill(hidden, -math.inf)
    return (scores.softmax(-1) @ values).transpose(1, 2).flatten(2)
