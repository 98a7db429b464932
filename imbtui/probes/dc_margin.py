"""How far apart two classes of training data are for linear functions, with and without shift invariance."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from imbtui.engine.batch import Batch
from imbtui.engine.context import ProbeContext
from imbtui.engine.method import Probe
from imbtui.engine.tick import Tick
from imbtui.errors import UserError
from imbtui.numerics.shift_invariance import dc_component, invariant_margin
from imbtui.option_types import NonNegativeInt

WHERE = "probes.dc_margin"
HARD = 1e6  # slack costs so much that there is none where the classes can be separated
METRICS = ("invariant", "linear")


class DcMargin(Probe):
    """Margins of the training data, which no training changes (singla2021 §Mathematics, Theorem 1).

    `invariant`: the gap between the classes' DC components, the widest that a linear function has which
    must not tell shifts apart; not positive: there is none. `linear`: the widest of any linear function
    with an intercept; absent where the classes cannot be separated. Both are full gaps.

    Args:
        classes: the two classes.
    """

    def __init__(self, *, classes: list[NonNegativeInt] = [0, 1]) -> None:  # noqa: B006  never changed
        if len(classes) != 2 or classes[0] == classes[1]:
            raise UserError("a margin is between two classes", where=f"{WHERE}.classes")
        self.classes = classes

    def setup(self, context: ProbeContext) -> None:
        """Compute both margins.

        Raises:
            UserError: a class has no training examples.
        """
        whole = context.whole("train")
        sides = [whole.x[whole.y == label].double() for label in self.classes]
        for label, side in zip(self.classes, sides, strict=True):
            if not len(side):
                raise UserError(f"there are no training examples of class {label}", where=f"{WHERE}.classes")
        self.margins = {"invariant": invariant_margin(*(dc_component(side) for side in sides))}
        x = torch.cat([side.flatten(1) for side in sides]).cpu().numpy()
        margin = linear_margin(x, np.repeat([0, 1], [len(side) for side in sides]))
        if margin is not None:
            self.margins["linear"] = margin

    def measure(self, objective: nn.Module, batch: Batch, t: Tick) -> dict[str, float | list[float]]:
        """Return both margins."""
        return dict(self.margins)


def linear_margin(x: NDArray[np.float64], y: NDArray[np.int64]) -> float | None:
    """Return the full gap of the hard-margin support vector machine with an intercept; None: there is none.

    Args:
        x: points (N, D).
        y: 0 or 1 for each, (N,).
    """
    from sklearn.svm import SVC

    machine = SVC(kernel="linear", C=HARD).fit(x, y)
    if (machine.predict(x) != y).any():
        return None
    return float(2 / np.linalg.norm(machine.coef_))


build = DcMargin
