"""The statistics behind verdicts: mean of per-seed values against a threshold, and counts of events.

A seed is one observation. One-sided tests and one-sided 95 % bounds belong together: the mean is shown to
lie above a threshold exactly when its lower bound does, and shown not to when its upper bound lies below.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

ALPHA = 0.05
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Mean:
    """The mean of independent values and what a t test says of it.

    Values that are all equal (up to rounding) have no variance: their mean is then taken as known, and
    every question about it is answered by its value.

    Attributes:
        values: one a seed, at least two.
        magnitude: size of the numbers that the values are differences of; what is smaller by a factor of
            1e12 is rounding.
    """

    values: Sequence[float]
    magnitude: float = 0.0

    @property
    def mean(self) -> float:
        return math.fsum(self.values) / len(self.values)

    @property
    def _rounding(self) -> float:
        return _ROUNDING * max(self.magnitude, *map(abs, self.values))

    @property
    def error(self) -> float:
        """Standard error of the mean (n - 1 in the deviation); 0 without variance."""
        n, mean = len(self.values), self.mean
        if max(self.values) - min(self.values) <= self._rounding:
            return 0.0
        return math.sqrt(math.fsum((v - mean) ** 2 for v in self.values) / (n - 1) / n)

    @property
    def varies(self) -> bool:
        return self.error > 0

    def p_above(self, threshold: float) -> float:
        """p value of the one-sided t test that the mean exceeds `threshold`; 0 or 1 without variance."""
        distance = self.mean - threshold
        if not self.varies:
            return 0.0 if distance > self._slack(threshold) else 1.0
        from scipy.special import stdtr

        return float(stdtr(len(self.values) - 1, -distance / self.error))

    def p_below(self, threshold: float) -> float:
        """p value of the one-sided t test that the mean is below `threshold`; 0 or 1 without variance."""
        return Mean([-v for v in self.values], self.magnitude).p_above(-threshold)

    def p_within(self, low: float, high: float) -> float:
        """p value of two one-sided tests (TOST) that the mean lies between two values.

        Without variance the ends count as inside: what is exactly equal is within 0.
        """
        if not self.varies:
            inside = low - self._slack(low) <= self.mean <= high + self._slack(high)
            return 0.0 if inside else 1.0
        return max(self.p_above(low), self.p_below(high))

    def bounds(self, alpha: float = ALPHA) -> tuple[float, float]:
        """Return the one-sided lower and upper confidence bounds, each at level 1 - alpha."""
        if not self.varies:
            return self.mean, self.mean
        from scipy.special import stdtrit

        reach = float(stdtrit(len(self.values) - 1, 1 - alpha)) * self.error
        return self.mean - reach, self.mean + reach

    def _slack(self, threshold: float) -> float:
        return max(self._rounding, _ROUNDING * abs(threshold))


def more_often(events: int, runs: int, other_events: int, other_runs: int) -> float:
    """p value of Fisher's exact test, one-sided, that an event is more frequent in the first group."""
    from scipy.stats import fisher_exact

    table = [[events, runs - events], [other_events, other_runs - other_events]]
    return float(fisher_exact(table, alternative="greater")[1])


def share_difference_bounds(
    events: int, runs: int, other_events: int, other_runs: int, alpha: float = ALPHA
) -> tuple[float, float]:
    """Return one-sided bounds of a difference of two shares, each at level 1 - alpha.

    Newcombe's hybrid score interval (Statistics in Medicine 17, 1998, method 10).
    """
    share, other = events / runs, other_events / other_runs
    low, high = _wilson(events, runs, alpha)
    other_low, other_high = _wilson(other_events, other_runs, alpha)
    return (
        share - other - math.hypot(share - low, other_high - other),
        share - other + math.hypot(high - share, other - other_low),
    )


def _wilson(events: int, runs: int, alpha: float) -> tuple[float, float]:
    from scipy.special import ndtri

    z = float(ndtri(1 - alpha))
    share = events / runs
    centre = (share + z * z / (2 * runs)) / (1 + z * z / runs)
    half = z * math.sqrt(share * (1 - share) / runs + z * z / (4 * runs * runs)) / (1 + z * z / runs)
    return max(0.0, centre - half), min(1.0, centre + half)


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Return the least-squares slope of y on x."""
    centre_x, centre_y = math.fsum(x) / len(x), math.fsum(y) / len(y)
    above = math.fsum((a - centre_x) * (b - centre_y) for a, b in zip(x, y, strict=True))
    return above / math.fsum((a - centre_x) ** 2 for a in x)
