"""Draw rare classes or groups more often: re-sampling, or deferred re-sampling (DRS) with a later start."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from imbtui.engine.context import MethodContext
from imbtui.engine.examples import Examples
from imbtui.engine.method import Method
from imbtui.engine.tick import Tick
from imbtui.methods._cells import balancing_weights, cell_of, groups_of
from imbtui.option_types import Rate, When


class Resample(Method):
    """RS and DRS of cao2019 §2.3: an example is drawn in proportion to the weight of its class or group.

    Args:
        scheme: `effective_number`: 1 / ((1 - beta^n) / (1 - beta)); `inverse`: 1 / n, which makes all
            classes equally frequent.
        beta: of the effective number; 0 draws all examples alike.
        by: what is counted: each `class`, or each class within each `group`. With scheme `inverse` groups
            come equally often, the group re-weighting baseline of kini2021 §2.4.
        start_epoch: point in time from which epochs are drawn so; before, every example comes once.
    """

    class_weight: Tensor

    def __init__(
        self,
        *,
        scheme: Literal["effective_number", "inverse"] = "effective_number",
        beta: Rate = 0.9999,
        by: Literal["class", "group"] = "class",
        start_epoch: When = 0,
    ) -> None:
        super().__init__()
        self.scheme: Literal["effective_number", "inverse"] = scheme
        self.beta = beta
        self.by: Literal["class", "group"] = by
        self.start_epoch = start_epoch
        self.groups = 1

    def setup(self, context: MethodContext) -> None:
        """Compute the weights from the training labels as used.

        Raises:
            UserError: there are no groups.
        """
        self.groups = groups_of(context, self.by, where="methods.resample.by")
        weights = balancing_weights(context, self.groups, self.scheme, self.beta)
        self.register_buffer("class_weight", weights)

    def sampling_weights(self, train: Examples, t: Tick) -> Tensor | None:
        """Return the weight of each example's class, (N_train,) float64 on the CPU; None before the start."""
        if not t.reached(self.start_epoch):
            return None
        group = None if train.group is None else torch.from_numpy(train.group)
        cells = cell_of(torch.from_numpy(train.targets), group, self.groups)
        return self.class_weight.double().cpu()[cells]


build = Resample
