"""L2 regularisation of the last layer's weights, on top of the optimizer's weight decay."""

from __future__ import annotations

import functools

from torch import Tensor, nn

from imbtui.engine.batch import Batch
from imbtui.engine.context import MethodContext
from imbtui.engine.heads import CosineHead
from imbtui.engine.method import Method
from imbtui.engine.tick import Tick
from imbtui.errors import UserError
from imbtui.methods._gaussian_process import GaussianProcessHead
from imbtui.option_types import NonNegative

TASKS = ("classification", "regression")


class ExtraL2(Method):
    """Extra final-layer L2 of kornblith2021 §2: the head's weights are held down, its biases are not.

    Args:
        strength: lambda in (lambda / 2) sum W^2; double it for a source that writes no half.
    """

    def __init__(self, *, strength: NonNegative = 8e-4) -> None:
        super().__init__()
        self.strength = strength

    def setup(self, context: MethodContext) -> None:
        """Remember where the model will be."""
        self.context = context

    def penalty(self, batch: Batch, logits: Tensor, t: Tick) -> Tensor | None:
        """Return the penalty, a scalar: the mean over heads where the network has been multiplied.

        Raises:
            UserError: the model has no linear or cosine head.
        """
        penalties = [extra_l2_penalty(head.weight, self.strength) for head in self._heads]
        return functools.reduce(Tensor.add, penalties) / len(penalties)

    @functools.cached_property
    def _heads(self) -> list[CosineHead | nn.Linear]:
        # Looked up at the first step, when all methods have changed what they change.
        heads = heads_in(self.context.model)
        if not heads:
            raise UserError("the model has no linear or cosine head", where="methods.extra_l2")
        return heads


def heads_in(model: nn.Module) -> list[CosineHead | nn.Linear]:
    """Return every layer called `head`: one, or one for each copy that a method has made of the network.

    Of a Gaussian process it is the layer over its random features.
    """
    named = [m for name, m in model.named_modules() if name.rpartition(".")[2] == "head"]
    heads = [m.beta if isinstance(m, GaussianProcessHead) else m for m in named]
    return [head for head in heads if isinstance(head, CosineHead | nn.Linear)]


def extra_l2_penalty(weight: Tensor, strength: float) -> Tensor:
    """Return (strength / 2) sum W^2, a scalar (kornblith2021 §2)."""
    return strength / 2 * weight.square().sum()


build = ExtraL2
