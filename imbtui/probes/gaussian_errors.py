"""Exact test errors of a linear classifier on a Gaussian mixture, without drawing a test set."""

from __future__ import annotations

import numpy as np
from torch import nn

from imbtui.engine.batch import Batch
from imbtui.engine.context import ProbeContext
from imbtui.engine.method import Probe
from imbtui.engine.tick import Tick
from imbtui.numerics import groups
from imbtui.numerics.separators import balanced_error, gaussian_error, standard_error
from imbtui.probes._model import require_examples, require_linear, separator

WHERE = "probes.gaussian_errors"
METRICS = ("positive", "negative", "balanced", "standard", "worst", "balanced_groups", "symmetric_deo")


class GaussianErrors(Probe):
    """For the data set `gaussian_mixture` and the model `linear` (kini2021 §3.3).

    `positive`, `negative`: errors of label 1 and 0; `balanced`: their mean; `standard`: their mean by
    class size. With groups also `worst`, `balanced_groups` and `symmetric_deo` over the labels' groups.
    """

    def setup(self, context: ProbeContext) -> None:
        """Read the means.

        Raises:
            UserError: the model is not linear, or the data set is another.
        """
        require_linear(context, where=WHERE)
        hint = 'The data set "gaussian_mixture" has them.'
        require_examples(context, "means", where=WHERE, hint=hint)
        components = context.examples["means"]
        self.means = components.x.astype(np.float64)
        self.labels = components.targets
        self.group = components.group
        counts = context.class_counts.tolist()
        self.share = counts[1] / sum(counts)

    def measure(self, objective: nn.Module, batch: Batch, t: Tick) -> dict[str, float | list[float]]:
        """Return the errors by name; those of a classifier that is still zero are left out."""
        w, b = separator(objective.get_submodule("model"))
        if not w.any():
            return {}
        signs = 2.0 * self.labels - 1
        errors = np.array([gaussian_error(w, b, m, s) for m, s in zip(self.means, signs, strict=True)])
        plus, minus = (float(errors[self.labels == label].mean()) for label in (1, 0))
        values: dict[str, float | list[float]] = {
            "positive": plus,
            "negative": minus,
            "balanced": balanced_error(plus, minus),
            "standard": standard_error(plus, minus, self.share),
        }
        if self.group is not None:
            cells = np.full((2, int(self.group.max()) + 1), np.nan)
            cells[self.labels, self.group] = errors
            values["worst"] = groups.worst_error(cells)
            values["balanced_groups"] = groups.balanced_error(cells)
            values["symmetric_deo"] = groups.symmetric_deo(cells)
        return values


build = GaussianErrors
