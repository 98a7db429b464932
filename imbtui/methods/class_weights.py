"""Weight each sample by its class or group, from the start (re-weighting) or from later on (DRW)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from imbtui.engine.batch import Batch
from imbtui.engine.context import MethodContext
from imbtui.engine.method import Method
from imbtui.engine.tick import Tick
from imbtui.errors import UserError
from imbtui.methods._cells import balancing_weights, cell_of, groups_of
from imbtui.numerics.class_weights import mean_one
from imbtui.option_types import NonNegative, Rate, When

WHERE = "methods.class_weights"


class ClassWeights(Method):
    """Importance weights (byrd2019 §2.1), RW and DRW (cao2019 §2.2, §2.3), with a mean of one over classes.

    The recipe's `loss.normalise` says what the weighted sum is divided by: `batch` in byrd2019, `weights`
    in the code of cao2019 and kini2021.

    Args:
        scheme: `effective_number`: 1 / ((1 - beta^n) / (1 - beta)); `inverse`: 1 / n; `given`: `weights`.
        beta: of the effective number; 0 gives all ones.
        weights: of `given`, one a class, relative to each other: [1, 16] is the ratio 16:1 of byrd2019.
        by: what is counted: each `class`, or each class within each `group` (kini2021 §2.3).
        start_epoch: point in time from which the weights count; 0 is RW, the first learning-rate drop DRW.
    """

    class_weight: Tensor

    def __init__(
        self,
        *,
        scheme: Literal["effective_number", "inverse", "given"] = "effective_number",
        beta: Rate = 0.9999,
        weights: list[NonNegative] | None = None,
        by: Literal["class", "group"] = "class",
        start_epoch: When = 0,
    ) -> None:
        super().__init__()
        if (weights is not None) != (scheme == "given"):
            raise UserError('weights go with scheme = "given", which needs them', where=WHERE)
        if weights is not None and (by == "group" or not any(weights)):
            raise UserError("weights are given by class, and one is above 0", where=f"{WHERE}.weights")
        self.scheme: Literal["effective_number", "inverse", "given"] = scheme
        self.beta = beta
        self.given = weights
        self.by: Literal["class", "group"] = by
        self.start_epoch = start_epoch
        self.groups = 1

    def setup(self, context: MethodContext) -> None:
        """Compute the weights from the training labels as used.

        Raises:
            UserError: there are no groups, or there is not one weight a class.
        """
        self.groups = groups_of(context, self.by, where=f"{WHERE}.by")
        self.register_buffer("class_weight", self._weights(context))

    def _weights(self, context: MethodContext) -> Tensor:
        if self.scheme != "given":
            return balancing_weights(context, self.groups, self.scheme, self.beta)
        if len(self.given or ()) != context.num_classes:
            raise UserError(
                f"{len(self.given or ())} weights are given for {context.num_classes} classes",
                where=f"{WHERE}.weights",
            )
        return mean_one(torch.tensor(self.given, device=context.device))

    def weights(self, batch: Batch, losses: Tensor, t: Tick) -> Tensor | None:
        """Return the weight of each sample's class, (N,), or None before the start."""
        if not t.reached(self.start_epoch):
            return None
        return self.class_weight.to(losses.dtype)[cell_of(batch.y, batch.group, self.groups)]


build = ClassWeights
