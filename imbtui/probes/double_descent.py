"""Whether the test error descends twice in the course of training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from imbtui.engine.method import Probe
from imbtui.metrics import series
from imbtui.numerics.double_descent import double_descent, interpolation_threshold
from imbtui.option_types import Rate

METRICS = ("threshold_step", "pre", "peak", "post", "prominence")


class DoubleDescent(Probe):
    """Reads the evaluations of a stage as a curve over time, at its end (epoch-wise, nakkiran2019 §2).

    `threshold_step`: from when on the training error stays at or below `eps`. With the test error: `pre`,
    its minimum before; `peak`, its maximum after that minimum; `post`, its minimum beyond the peak;
    `prominence` = peak - max(pre, post). What is undefined is not logged as a number.

    Args:
        eps: training error, on the given labels, that counts as fitting.
    """

    def __init__(self, *, eps: Rate = 0.01) -> None:
        self.eps = eps

    def conclude(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """Return the values by name."""
        train, test = series(rows, "train/error"), series(rows, "test/error")
        threshold = interpolation_threshold(train.values, self.eps)
        if threshold is None:
            return dict.fromkeys(("threshold_step", "pre", "peak", "post", "prominence"), math.nan)
        found = double_descent(test.values, threshold)
        values = {"threshold_step": float(train.steps[threshold])}
        for name in ("pre", "peak", "post", "prominence"):
            values[name] = math.nan if found is None else getattr(found, name)
        return values


build = DoubleDescent
