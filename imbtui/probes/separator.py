"""Angles between a linear classifier and the max-margin separators of its training data."""

from __future__ import annotations

import numpy as np
from torch import nn

from imbtui.engine.batch import Batch
from imbtui.engine.context import ProbeContext
from imbtui.engine.method import Probe
from imbtui.engine.tick import Tick
from imbtui.errors import UserError
from imbtui.numerics.separators import angle, cosine, cs_svm, margin_ratio
from imbtui.option_types import Positive
from imbtui.probes._model import head_of, require_linear, separator, training_points

WHERE = "probes.separator"
METRICS = (
    "svm_cosine",
    "svm_angle",
    "cs_svm_cosine",
    "cs_svm_angle",
    "limits_cosine",
    "margin_ratio",
    "norm",
)


class Separator(Probe):
    """Compares the score's w with where gradient descent on separable data goes: to the SVM whatever the
    sample weights are (byrd2019 §2.3), to the cost-sensitive SVM with multiplicative factors (kini2021 §3.1).

    `svm_cosine`, `svm_angle`, `cs_svm_cosine`, `cs_svm_angle`: of w, in degrees; `limits_cosine`: between
    the two limits; `margin_ratio`: smallest margin of class 1 over that of class 0; `norm` of w. A model
    with an intercept is compared in the space of (x, 1), where descent on both goes.

    Args:
        delta: margin of class 1 over that of class 0 in the cost-sensitive SVM: Delta_0 / Delta_1.
    """

    def __init__(self, *, delta: Positive = 3.0) -> None:
        self.delta = delta

    def setup(self, context: ProbeContext) -> None:
        """Find both separators.

        Raises:
            UserError: the model is not linear, or no linear function separates the classes.
        """
        require_linear(context, where=WHERE)
        self.x, self.y = training_points(context)
        head = head_of(context.model)
        self.intercept = head is not None and getattr(head, "bias", None) is not None
        if self.intercept:
            self.x = np.column_stack([self.x, np.ones(len(self.x))])
        try:
            self.svm = cs_svm(self.x, self.y)
            self.cs_svm = cs_svm(self.x, self.y, self.delta)
        except ValueError as error:
            raise UserError(str(error), where=WHERE) from error

    def measure(self, objective: nn.Module, batch: Batch, t: Tick) -> dict[str, float | list[float]]:
        """Return the values by name."""
        w, b = separator(objective.get_submodule("model"))
        if self.intercept:
            w = np.append(w, b)
        return {
            "svm_cosine": cosine(w, self.svm),
            "svm_angle": angle(w, self.svm),
            "cs_svm_cosine": cosine(w, self.cs_svm),
            "cs_svm_angle": angle(w, self.cs_svm),
            "limits_cosine": cosine(self.svm, self.cs_svm),
            "margin_ratio": margin_ratio(self.x, self.y, w),
            "norm": float(np.linalg.norm(w)),
        }


build = Separator
