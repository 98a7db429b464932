"""Where early stopping would have stopped, found after the whole of a stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from imbtui.engine.context import ProbeContext
from imbtui.engine.method import Probe
from imbtui.metrics import pick, series
from imbtui.numerics.early_stopping import early_stop
from imbtui.probes._model import require_examples

METRICS = ("step", "loss", "accuracy", "error")


class EarlyStop(Probe):
    """Reads the evaluation with the lowest loss on a split, the earliest of equal ones (frankle2019 §2).

    Training is never stopped. At the end of each stage: `step` and `loss` of that evaluation, and
    `accuracy` and `error`, the test accuracy and error there.

    Args:
        split: whose loss decides; on `test` the outcome is chosen on test data.
    """

    def __init__(self, *, split: Literal["val", "test"] = "val") -> None:
        self.split = split

    def setup(self, context: ProbeContext) -> None:
        """Make sure that the split is there.

        Raises:
            UserError: it is not.
        """
        require_examples(
            context, self.split, where="probes.early_stop.split", hint="Set dataset.validation aside."
        )

    def conclude(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """Return the values by name."""
        name = f"{self.split}/loss"
        losses = series(rows, name)
        return {
            "step": early_stop(losses.steps, losses.values),
            "loss": pick(rows, name, "min"),
            "accuracy": pick(rows, "test/accuracy", f"argmin:{name}"),
            "error": pick(rows, "test/error", f"argmin:{name}"),
        }


build = EarlyStop
