"""Errors of the SVM with intercept on a Gaussian mixture, and of its threshold shifted to balance them."""

from __future__ import annotations

import numpy as np
from torch import nn

from imbtui.engine.batch import Batch
from imbtui.engine.context import ProbeContext
from imbtui.engine.method import Probe
from imbtui.engine.tick import Tick
from imbtui.errors import UserError
from imbtui.numerics.separators import balancing_delta, gaussian_error, shift_intercept
from imbtui.probes._model import require_examples, training_points

WHERE = "probes.balanced_svm"
METRICS = ("positive", "negative", "delta", "shifted_positive", "shifted_negative")


class BalancedSVM(Probe):
    """A reference computed from the training data alone; the model is not looked at (kini2021 §3.2).

    With an intercept the cost-sensitive SVM is the SVM with another threshold. `positive`, `negative`:
    exact errors of the SVM; `delta`: the ratio of margins that makes them equal; `shifted_positive`,
    `shifted_negative`: the errors with it. Measure it once: `every = "100%"`.
    """

    def setup(self, context: ProbeContext) -> None:
        """Fit the SVM.

        Raises:
            UserError: the data set has no Gaussian classes without groups, or nothing balances them.
        """
        hint = 'The data set "gaussian_mixture" has them.'
        require_examples(context, "means", where=WHERE, hint=hint)
        components = context.examples["means"]
        if len(components) != 2:
            raise UserError("the probe needs one Gaussian a class", where=WHERE)
        from sklearn.svm import SVC

        x, y = training_points(context)
        # Its default tolerance leaves the margins' constraints violated by a thousandth.
        svm = SVC(kernel="linear", C=1e6, tol=1e-6).fit(x, y)
        w, b = svm.coef_[0].astype(np.float64), float(svm.intercept_[0])
        plus, minus = (components.x[components.targets == label][0].astype(np.float64) for label in (1, 0))
        try:
            delta = balancing_delta(w, b, plus, minus)
        except ValueError as error:
            raise UserError(str(error), where=WHERE) from error
        shifted = shift_intercept(w, b, delta)
        self.values: dict[str, float | list[float]] = {
            "positive": gaussian_error(w, b, plus, 1),
            "negative": gaussian_error(w, b, minus, -1),
            "delta": delta,
            "shifted_positive": gaussian_error(*shifted, plus, 1),
            "shifted_negative": gaussian_error(*shifted, minus, -1),
        }

    def measure(self, objective: nn.Module, batch: Batch, t: Tick) -> dict[str, float | list[float]]:
        """Return the values by name."""
        return self.values


build = BalancedSVM
