"""Whether uncertainty grows with the distance to the training data."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from imbtui.engine.batch import Batch
from imbtui.engine.context import ProbeContext
from imbtui.engine.method import Probe
from imbtui.engine.ranks import is_main
from imbtui.engine.tick import Tick
from imbtui.errors import UserError
from imbtui.numerics.ood import class_probabilities, doubt, nearest_distances
from imbtui.probes._model import evaluating, logits_and_variance, require_examples

METRICS = ("doubt", "variance")


class DistanceAwareness(Probe):
    """Spearman correlations, over examples, with the distance to the nearest training input (liu2020).

    `doubt`: of 1 - max p, in float64; `variance`: of the variance of the logits, where the model has one.
    Distances are Euclidean in the space of the inputs, so these should have few dimensions.

    Args:
        examples: what the data set has for probes, or a split.
    """

    def __init__(self, *, examples: str = "grid") -> None:
        self.examples = examples

    def setup(self, context: ProbeContext) -> None:
        """Measure the distances.

        Raises:
            UserError: the examples are not there, or the data is read from files as it is needed.
        """
        require_examples(context, self.examples, where="probes.distance_awareness.examples")
        points, training = (context.examples[name].x for name in (self.examples, "train"))
        if training.dtype.kind in "UO":
            raise UserError("distances need data in memory", where="probes.distance_awareness")
        flat = [x.reshape(len(x), -1).astype(np.float64) for x in (points, training)]
        self.distances = nearest_distances(*flat)
        self.context = context

    def measure(self, objective: nn.Module, batch: Batch, t: Tick) -> dict[str, float | list[float]]:
        """Return the correlations by name."""
        if not is_main():
            return {}
        from scipy.stats import spearmanr

        points = self.context.examples[self.examples]
        with evaluating(objective) as model:
            parts = [logits_and_variance(model, batch.x) for batch in self.context.batches_of(points)]
        values = {"doubt": torch.cat([doubt(class_probabilities(logits)) for logits, _ in parts])}
        variances = [variance for _, variance in parts if variance is not None]
        if variances:
            values["variance"] = torch.cat(variances)
        return {
            name: float(spearmanr(self.distances, value.cpu().numpy()).statistic)
            for name, value in values.items()
        }


build = DistanceAwareness
