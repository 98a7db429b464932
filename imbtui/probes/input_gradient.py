"""How unequally the loss depends on the inputs of single examples, at the network as it is."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imbtui.engine.batch import Batch
from imbtui.engine.context import ProbeContext
from imbtui.engine.method import Probe
from imbtui.engine.tick import Tick
from imbtui.numerics.ensembles import joint_logits
from imbtui.numerics.gini import gini
from imbtui.probes._model import evaluating, over_split

METRICS = ("gini", "mean")


class InputGradient(Probe):
    """`gini` and `mean` of the l1 norm of every training example's own cross-entropy gradient.

    A cheap stand-in for loss sensitivity, which goes through the training steps (method `unrolled_sgd`).
    Early in training it does not tell data from noise (arpit2017 §4.2, §6.4).
    """

    def setup(self, context: ProbeContext) -> None:
        """Remember the training examples."""
        self.context = context

    def measure(self, objective: nn.Module, batch: Batch, t: Tick) -> dict[str, float | list[float]]:
        """Return both."""
        with evaluating(objective) as model:
            (norms,) = over_split(
                self.context, "train", lambda b: (input_gradient_norms(model, b.x, b.y).double(),)
            )
        return {"gini": float(gini(norms)), "mean": float(norms.mean())}


def input_gradient_norms(model: nn.Module, x: Tensor, targets: Tensor) -> Tensor:
    """Return |d CE(f(x_i), y_i) / d x_i|_1 of each example, (N,) (arpit2017 §4.2, the proxy).

    Args:
        model: in evaluation mode, so that examples do not act on each other.
        x: inputs (N, ...).
        targets: labels (N,).
    """
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        loss = F.cross_entropy(joint_logits(model(x)), targets, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, x)
    return gradient.abs().flatten(1).sum(1)


build = InputGradient
