"""When training would have been stopped, found after its whole length, and what makes a winning ticket."""

from __future__ import annotations

import math
from collections.abc import Sequence


def early_stop(steps: Sequence[int], losses: Sequence[float]) -> int:
    """Return the step of the lowest validation loss; of equal ones the earliest (frankle2019 §2).

    Args:
        steps: steps of the evaluations, ascending.
        losses: validation loss at each of them; `nan` is never the lowest.

    Raises:
        ValueError: there is no loss that is a number.
    """
    measured = [(loss, step) for step, loss in zip(steps, losses, strict=True) if not math.isnan(loss)]
    if not measured:
        raise ValueError("no validation loss was measured")
    return min(measured)[1]


def steps_to(steps: Sequence[int], accuracies: Sequence[float], accuracy: float) -> int | None:
    """Return the first evaluated step with at least this accuracy, or None (frankle2019 §8)."""
    return next((s for s, a in zip(steps, accuracies, strict=True) if a >= accuracy), None)


def is_winning(step: int, accuracy: float, *, dense_step: int, dense_accuracy: float) -> bool:
    """Whether a subnetwork is a winning ticket: no later early stop, no lower accuracy (frankle2019 §2).

    Args:
        step, accuracy: early stop of the subnetwork, and its test accuracy there.
        dense_step, dense_accuracy: the same of the dense network, trained for as many steps.
    """
    return step <= dense_step and accuracy >= dense_accuracy


def speedup(step: int, *, dense_step: int) -> float:
    """Return es_iter(0) / es_iter(r), how many times earlier the early stop is (frankle2019 §8)."""
    return dense_step / step if step else math.inf


def smallest_winning_density(densities: Sequence[float], winning: Sequence[bool]) -> float | None:
    """Return the smallest density of a winning ticket, or None when none wins (frankle2019 §8)."""
    return min((d for d, wins in zip(densities, winning, strict=True) if wins), default=None)
