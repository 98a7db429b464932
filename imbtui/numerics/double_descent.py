"""Double descent: where a family of models begins to fit its data, and how its test error peaks there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


def effective_model_complexity(
    samples: Sequence[int], errors: Sequence[float], eps: float = 0.1
) -> int | None:
    """Return EMC = max{n : mean training error <= eps}, or None where none is (nakkiran2019 §2).

    It is the largest such n, not the one before the first that fails.

    Args:
        samples: numbers of training examples n.
        errors: training error at each, on the given labels, averaged over trials.
    """
    return max((n for n, error in zip(samples, errors, strict=True) if error <= eps), default=None)


def interpolation_threshold(errors: Sequence[float], eps: float = 0.01) -> int | None:
    """Return the position of the smallest model from which on all fit, or None (nakkiran2019 §2).

    Args:
        errors: mean training errors, models in ascending order of size.
        eps: training error that counts as fitting.
    """
    position = len(errors)
    while position and errors[position - 1] <= eps:
        position -= 1
    return position if position < len(errors) else None


@dataclass(frozen=True)
class DoubleDescent:
    """A curve of test errors around the interpolation threshold.

    Attributes:
        pre: smallest error below the threshold.
        peak: largest error at or after that one.
        post: smallest error beyond the peak.
        place: position of the peak.
    """

    pre: float
    peak: float
    post: float
    place: int

    @property
    def prominence(self) -> float:
        """How far the peak stands out of the higher of both minima; above 0: double descent."""
        return self.peak - max(self.pre, self.post)


def double_descent(errors: Sequence[float], threshold: int) -> DoubleDescent | None:
    """Return the double-descent statistic (nakkiran2019 §2), None where it is undefined.

    It is undefined when no model lies below the threshold, or none beyond the peak.

    Args:
        errors: test errors, models in ascending order of size (or of training time).
        threshold: position of the first model that fits.
    """
    if not 0 < threshold < len(errors):
        return None
    lowest = min(range(threshold), key=errors.__getitem__)
    place = max(range(lowest, len(errors)), key=errors.__getitem__)
    if place == len(errors) - 1:
        return None
    return DoubleDescent(errors[lowest], errors[place], min(errors[place + 1 :]), place)
