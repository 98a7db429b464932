"""Importance weights by gradients: examples count as far as they lower the loss on a clean validation set."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from imbtui.engine.batch import Batch
from imbtui.engine.context import MethodContext
from imbtui.engine.modes import evaluation_mode
from imbtui.engine.tick import Tick
from imbtui.methods._importance import BatchWeights, plain_losses
from imbtui.numerics.meta_weights import gradient_agreement, rectified_weights
from imbtui.option_types import Count, When

WHERE = "methods.learning_to_reweight"
TASKS = ("classification", "regression")
METRICS = (
    "running/effective_sample_size",
    "running/mean_weight",
    "running/max_weight",
    "running/corrupted_weight",
)


class LearningToReweight(BatchWeights):
    """Ren et al. 2018, a baseline of dynamic importance weighting (lu2021 §3.6).

    In every step the gradient of each example's cross-entropy, or squared error, is multiplied with that of a
    batch drawn with replacement from the validation set, in evaluation mode. What is below zero becomes zero,
    and weights average 1 over the batch; none of it is trained on where all are zero. The validation set
    must come from the test distribution, as for `dynamic_weights`. Each of several processes weights its own
    share of a batch. Logged: see `weight_logs`.

    Args:
        agreement: `validation`: as said. `random`: normal draws in the place of the products, the baseline of
            random weights.
        batch_size: validation examples in a step; None: as many as in the training batch.
        start_epoch: all weights are 1 before this point in time.
    """

    def __init__(
        self,
        *,
        agreement: Literal["validation", "random"] = "validation",
        batch_size: Count | None = None,
        start_epoch: When = 0,
    ) -> None:
        super().__init__(batch_size=batch_size, start_epoch=start_epoch, draws=WHERE)
        self.agreement = agreement

    def setup(self, context: MethodContext) -> None:
        """Load the validation set.

        Raises:
            UserError: there is none.
        """
        self._context = context
        if self.agreement == "validation":
            self.load_validation(context, purpose="agree with", where=WHERE)

    def weigh(self, batch: Batch, t: Tick) -> Tensor:
        """Return how far each example agrees with the validation set, from zero on, (N,)."""
        return rectified_weights(self._agreement(batch, t))

    def _agreement(self, batch: Batch, t: Tick) -> Tensor:
        assert self._context is not None
        if self.agreement == "random":
            drawn = torch.randn(len(batch), generator=torch.Generator().manual_seed(self.seed(t)))
            return drawn.to(batch.x.device)
        x, y = self.drawn(len(batch), t)
        model = self._context.model
        parameters = [p for p in model.parameters() if p.requires_grad]
        with torch.enable_grad(), evaluation_mode(model):
            losses = plain_losses(model(batch.x), batch.y)
            held_out = plain_losses(model(x), y).mean()
            return gradient_agreement(losses, held_out, parameters).detach()


build = LearningToReweight
