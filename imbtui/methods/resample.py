"""Draw rare classes more often: re-sampling, or deferred re-sampling (DRS) with a later start."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from imbtui.engine.examples import Examples
from imbtui.engine.method import Context, Method
from imbtui.engine.tick import Tick
from imbtui.numerics.class_weights import class_weights
from imbtui.option_types import Rate, When


class Resample(Method):
    """RS and DRS of cao2019 §2.3: an example is drawn in proportion to the weight of its class.

    Args:
        scheme: `effective_number`: 1 / ((1 - beta^n) / (1 - beta)); `inverse`: 1 / n, which makes all
            classes equally frequent.
        beta: of the effective number; 0 draws all examples alike.
        start_epoch: point in time from which epochs are drawn so; before, every example comes once.
    """

    class_weight: Tensor

    def __init__(
        self,
        *,
        scheme: Literal["effective_number", "inverse"] = "effective_number",
        beta: Rate = 0.9999,
        start_epoch: When = 0,
    ) -> None:
        super().__init__()
        self.scheme: Literal["effective_number", "inverse"] = scheme
        self.beta = beta
        self.start_epoch = start_epoch

    def setup(self, context: Context) -> None:
        """Compute the weights from the training labels as used."""
        weights = class_weights(context.class_counts, scheme=self.scheme, beta=self.beta)
        self.register_buffer("class_weight", weights)

    def sampling_weights(self, train: Examples, t: Tick) -> Tensor | None:
        """Return the weight of each example's class, (N_train,) float64 on the CPU; None before the start."""
        if not t.reached(self.start_epoch):
            return None
        return self.class_weight.double().cpu()[torch.from_numpy(train.targets)]


build = Resample
