"""The mean of curves over seeds, with a band of one standard deviation."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

MOST_POINTS = 500

Curve = tuple[Sequence[float], Sequence[float]]
"""Positions (ascending) and values."""


@dataclass(frozen=True)
class Band:
    """A mean curve.

    Attributes:
        x: positions.
        mean: over the curves that reach a position.
        low, high: mean ± one standard deviation (n - 1); the mean itself where only one curve reaches.
            Empty for a single curve.
    """

    x: Sequence[float]
    mean: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()


def mean_band(curves: Sequence[Curve]) -> Band:
    """Return the mean of curves and its band.

    Positions are those of the longest curve, thinned to `MOST_POINTS`; between its own points a curve is
    interpolated, and it counts only where it has values. A single curve is returned as it is.

    Args:
        curves: those without points are left out.
    """
    there = [(x, y) for x, y in curves if len(x)]
    if len(there) < 2:
        return Band(*there[0]) if there else Band((), ())
    grid = max((x for x, _ in there), key=len)
    stride = -(-len(grid) // MOST_POINTS)
    same = all(len(x) == len(grid) and x == grid for x, _ in there)
    # The last point is kept whatever the stride: it is where a curve has come to.
    kept = [*range(0, len(grid) - 1, stride), len(grid) - 1]
    positions = [grid[i] for i in kept]
    columns = [[y[i] for i in kept] if same else _along(positions, x, y) for x, y in there]
    mean, low, high = [], [], []
    for values in zip(*columns, strict=True):
        found = values if same else [value for value in values if value is not None]
        centre = math.fsum(found) / len(found)
        spread = math.fsum([(value - centre) ** 2 for value in found])
        reach = math.sqrt(spread / (len(found) - 1)) if len(found) > 1 else 0.0
        mean.append(centre)
        low.append(centre - reach)
        high.append(centre + reach)
    return Band(positions, mean, low, high)


def _along(positions: Sequence[float], x: Sequence[float], y: Sequence[float]) -> list[float | None]:
    """Return a curve's value at each position, None outside of it."""
    values: list[float | None] = []
    for position in positions:
        right = bisect_right(x, position)
        if right == 0 or (right == len(x) and position > x[-1]):
            values.append(None)
        elif right == len(x):
            values.append(y[-1])
        else:
            share = (position - x[right - 1]) / (x[right] - x[right - 1])
            values.append(y[right - 1] + share * (y[right] - y[right - 1]))
    return values
