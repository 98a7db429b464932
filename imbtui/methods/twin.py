"""Train a second network beside the recipe's with plain cross-entropy, so that probes can compare them."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from imbtui.engine.batch import Batch
from imbtui.engine.context import MethodContext
from imbtui.engine.method import Method
from imbtui.engine.tick import Tick

NAME = "twin"
METRICS = ("running/twin_loss",)


class Twin(Method):
    """What would the same initial weights have become under cross-entropy?

    The twin has the recipe's network with a linear head and without head dropout, the run's seed, the same
    batches and the same optimizer, and meets neither the recipe's loss nor its other methods. The two share
    no parameter, so each trains as it would alone; not with `normalised_gd`, which measures the gradient of
    both together. `running/loss` contains the twin's loss, which is `running/twin_loss`. The probe `cka`
    compares the two (kornblith2021 §9).
    """

    def setup(self, context: MethodContext) -> None:
        """Draw the twin."""
        self.network: nn.Module = context.make_model(context.seed, plain_head=True)
        context.beside[NAME] = self.network

    def penalty(self, batch: Batch, logits: Tensor, t: Tick) -> Tensor | None:
        """Return the twin's mean cross-entropy, a scalar."""
        answers = self.network(batch.x)
        answers = answers if answers.element_size() > 4 else answers.float()
        loss = F.cross_entropy(answers, batch.y)
        self._loss = loss.detach()
        return loss

    def logs(self) -> dict[str, Tensor]:
        """Return the loss of the last step."""
        return {"twin_loss": self._loss}


build = Twin
