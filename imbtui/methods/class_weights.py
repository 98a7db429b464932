"""Weight each sample by its class: re-weighting, or deferred re-weighting (DRW) with a later start."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from imbtui.engine.batch import Batch
from imbtui.engine.method import Context, Method
from imbtui.engine.tick import Tick
from imbtui.numerics.class_weights import class_weights
from imbtui.option_types import Rate, When


class ClassWeights(Method):
    """RW and DRW of cao2019 §2.2 and §2.3: weights sum to the number of classes.

    Args:
        scheme: `effective_number`: 1 / ((1 - beta^n) / (1 - beta)); `inverse`: 1 / n.
        beta: of the effective number; 0 gives all ones.
        start_epoch: point in time from which the weights count; 0 is RW, the first learning-rate drop DRW.
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

    def weights(self, batch: Batch, losses: Tensor, t: Tick) -> Tensor | None:
        """Return the weight of each sample's class, (N,), or None before the start."""
        if not t.reached(self.start_epoch):
            return None
        return self.class_weight.to(losses.dtype)[batch.y]


build = ClassWeights
