"""How many steps a stage takes to reach an accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from imbtui.engine.context import ProbeContext
from imbtui.engine.method import Probe
from imbtui.metrics import series
from imbtui.numerics.early_stopping import steps_to
from imbtui.option_types import Rate
from imbtui.probes._model import require_examples

METRICS = ("steps", "reached")


class StepsToAccuracy(Probe):
    """Reads the first evaluation with at least this accuracy (frankle2019 §8), at the end of each stage.

    `steps`: the steps done by then; the whole stage's where it never was reached; `reached`: 1 or 0.

    Args:
        accuracy: the accuracy to reach.
        split: where it is measured.
    """

    def __init__(self, *, accuracy: Rate = 0.9, split: Literal["test", "val", "train"] = "test") -> None:
        self.accuracy = accuracy
        self.split = split

    def setup(self, context: ProbeContext) -> None:
        """Make sure that the split is there.

        Raises:
            UserError: it is not.
        """
        require_examples(context, self.split, where="probes.steps_to_accuracy.split")

    def conclude(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """Return the values by name."""
        curve = series(rows, f"{self.split}/accuracy")
        steps = steps_to(curve.steps, curve.values, self.accuracy)
        return {"steps": curve.steps[-1] if steps is None else steps, "reached": float(steps is not None)}


build = StepsToAccuracy
