"""When a network that has long fitted its training data generalises, and whether it did in a slingshot."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from imbtui.engine.context import ProbeContext
from imbtui.engine.method import Probe
from imbtui.metrics import series
from imbtui.numerics.slingshots import find_spikes, fitted_at, grokking
from imbtui.option_types import Rate
from imbtui.probes._model import require_examples

METRICS = ("grokked", "step", "delay", "at_slingshot")


class Grokking(Probe):
    """Reads the evaluations of a stage, at its end (thilak2022 §5).

    `step`: the first with this held-out accuracy, in a network that was below 0.5 when it first fitted all
    training examples; `delay`: steps since then; `at_slingshot`: 1 if the training loss spiked in the tenth
    of the step before it, else 0. No numbers where the network did not grok; `grokked`: 1 or 0.

    Args:
        accuracy: held-out accuracy to reach.
        split: the held-out examples.
    """

    def __init__(self, *, accuracy: Rate = 0.9, split: Literal["test", "val"] = "test") -> None:
        self.accuracy = accuracy
        self.split = split

    def setup(self, context: ProbeContext) -> None:
        """Make sure that the split is there.

        Raises:
            UserError: it is not.
        """
        require_examples(context, self.split, where="probes.grokking.split")

    def conclude(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """Return the values by name."""
        losses = series(rows, "train/loss")
        start = fitted_at(series(rows, "train/accuracy").values)
        spikes = [] if start is None else find_spikes(losses.values, start)
        held_out = series(rows, f"{self.split}/accuracy").values
        found = grokking(losses.steps, held_out, spikes, start, reaches=self.accuracy)
        return {
            "grokked": float(found is not None),
            "step": math.nan if found is None else found.step,
            "delay": math.nan if found is None else found.delay,
            "at_slingshot": math.nan if found is None else float(found.at_slingshot),
        }


build = Grokking
