"""Slingshots and grokking, found in the records of a training (thilak2022)."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass

FLOOR = 1e-10
"""Losses below count as this: float32 ones underflow to 0."""
DECADES = 2.0
"""How far a loss rises above its minimum in a spike, and falls below the spike's maximum after it."""
LEAST_SPIKE = 1e-4
"""No smaller loss is a spike: an ordinary record behind one of exactly 0 would be one otherwise."""
WINDOW = 0.1
"""Share of a step: how far around it something counts as belonging to it."""


def fitted_at(accuracies: Sequence[float]) -> int | None:
    """Return the position of the first record with training accuracy 1, t100 (thilak2022 §5.1)."""
    return next((position for position, accuracy in enumerate(accuracies) if accuracy == 1), None)


def find_spikes(losses: Sequence[float], start: int) -> list[int]:
    """Return the positions of the spikes of the training loss from `start` on (thilak2022 §5.2).

    Armed, a loss two decades above the minimum so far and above 1e-4 is a spike. The detector is then
    disarmed until the loss falls two decades below the largest since the spike. Losses that are no
    numbers are passed over.
    """
    spikes: list[int] = []
    armed, lowest, highest = True, math.inf, -math.inf
    for position in range(start, len(losses)):
        loss = losses[position]
        if math.isnan(loss):
            continue
        level = math.log10(max(loss, FLOOR))
        if armed and level > lowest + DECADES and loss > LEAST_SPIKE:
            spikes.append(position)
            armed, highest = False, level
        elif armed:
            lowest = min(lowest, level)
        else:
            highest = max(highest, level)
            if level < highest - DECADES:
                armed, lowest = True, level
    return spikes


@dataclass(frozen=True)
class Slingshot:
    """One cycle: the last layer's norm grows, the loss spikes, the norm stays.

    Attributes:
        step: of the spike.
        norm_before: at the record before the spike.
        norm_after: a tenth of the step later.
        growth_before: of the norm in the tenth before, in nats per 1,000 steps.
        growth_after: likewise in the tenth after.
    """

    step: int
    norm_before: float
    norm_after: float
    growth_before: float
    growth_after: float


def slingshots(
    steps: Sequence[int], norms: Sequence[float], spikes: Sequence[int], start: int, growth: float = 0.005
) -> list[Slingshot]:
    """Return the spikes before which the last layer's norm has grown (thilak2022 §5.3).

    It must lie by `growth` above its value before the previous spike, the first time above that at t100.

    Args:
        steps: of all records, ascending.
        norms: of the last layer at each.
        spikes: positions from `find_spikes`.
        start: position of t100.
        growth: the least relative growth.
    """
    found = []
    reference = norms[start] if spikes else math.nan
    for spike in spikes:
        last = max(spike - 1, start)
        if norms[last] >= (1 + growth) * reference:
            reach = WINDOW * steps[spike]
            first = min(bisect.bisect_left(steps, steps[spike] - reach), last)
            after = bisect.bisect_right(steps, steps[spike] + reach) - 1
            found.append(
                Slingshot(
                    step=steps[spike],
                    norm_before=norms[last],
                    norm_after=norms[after],
                    growth_before=_rate(steps, norms, first, last),
                    growth_after=_rate(steps, norms, spike, after),
                )
            )
        reference = norms[last]
    return found


def _rate(steps: Sequence[int], norms: Sequence[float], first: int, last: int) -> float:
    """Return the growth of log norm between two records, per 1,000 steps; NaN where it has none."""
    if steps[first] == steps[last] or not (norms[first] > 0 and norms[last] > 0):
        return math.nan
    return 1000 * math.log(norms[last] / norms[first]) / (steps[last] - steps[first])


@dataclass(frozen=True)
class Grokking:
    """Generalisation long after the training data has been fitted.

    Attributes:
        step: first record with a held-out accuracy of at least 0.9.
        delay: steps since t100.
        at_slingshot: a spike lies within the tenth of the step before it.
    """

    step: int
    delay: int
    at_slingshot: bool


def grokking(
    steps: Sequence[int],
    held_out: Sequence[float],
    spikes: Sequence[int],
    start: int | None,
    *,
    reaches: float = 0.9,
    below: float = 0.5,
) -> Grokking | None:
    """Return when a network grokked, or None where it did not (thilak2022 §5.4).

    It did not either where it generalised at t100 already.

    Args:
        steps: of all records.
        held_out: accuracy on held-out examples at each.
        spikes: positions from `find_spikes`.
        start: position of t100; None: the training data was never fitted.
        reaches: held-out accuracy of a network that has grokked.
        below: held-out accuracy that it must not have reached at t100.
    """
    if start is None or not held_out[start] < below:
        return None
    position = next((n for n in range(len(steps)) if held_out[n] >= reaches), None)
    if position is None:
        return None
    step = steps[position]
    near = any((1 - WINDOW) * step <= steps[spike] <= step for spike in spikes)
    return Grokking(step, step - steps[start], near)
