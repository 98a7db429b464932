"""Where in a stage the training is: one frozen value from which every schedule is computed."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

from imbtui.option_types import Every


@dataclass(frozen=True)
class Tick:
    """One step of one stage. Schedules are total functions of it, so nothing about time is saved.

    Attributes:
        stage: name of the stage (`train` unless a method plans several).
        step: steps done before this one, from 0.
        steps_per_epoch: steps in an epoch, at least 1.
        stop: steps in the whole stage, as schedules count them.
    """

    stage: str
    step: int
    steps_per_epoch: int
    stop: int

    @property
    def epoch(self) -> int:
        """Whole epochs done before this step."""
        return self.step // self.steps_per_epoch

    @property
    def progress(self) -> float:
        """Share of the stage that is done, in [0, 1]."""
        return self.step / self.stop if self.stop else 1.0

    @property
    def last(self) -> bool:
        """Whether the stage ends with this step."""
        return self.step + 1 >= self.stop

    def step_of(self, when: int | str) -> int:
        """Return the step at which the point in time `when` begins in this stage.

        An integer counts epochs, `"10it"` counts steps, `"60%"` is a share of the stage.
        """
        if isinstance(when, int):
            return when * self.steps_per_epoch
        if when.endswith("it"):
            return int(when[:-2])
        return math.ceil(float(when[:-1]) / 100 * self.stop)

    def reached(self, when: int | str) -> bool:
        """Whether this step is at or after the point in time `when`; before the first counts as the first."""
        return max(self.step, 0) >= self.step_of(when)

    def due(self, every: Every) -> bool:
        """Whether this step completes a multiple of the interval `every`, or the stage.

        A list names points in time instead: this step completes one of them, or the stage.
        """
        if isinstance(every, list):
            return self.last or self.step + 1 in _named_steps(tuple(every), self.steps_per_epoch, self.stop)
        interval = max(1, self.step_of(every))
        return (self.step + 1) % interval == 0 or self.last


@functools.lru_cache(maxsize=64)
def _named_steps(points: tuple[int | str, ...], steps_per_epoch: int, stop: int) -> frozenset[int]:
    """Return the numbers of steps after which points in time are completed; the loop asks at every step."""
    begin = Tick("", 0, steps_per_epoch, stop)
    return frozenset(max(1, begin.step_of(when)) for when in points)
