"""How far representation and classifier have turned away from their initial weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imbtui.engine.batch import Batch
from imbtui.engine.context import ProbeContext
from imbtui.engine.method import Probe
from imbtui.engine.tick import Tick
from imbtui.errors import UserError
from imbtui.numerics.cosine_distance import cosine_distance
from imbtui.probes._model import head_of

METRICS = ("representation", "classifier")


class DistanceFromInit(Probe):
    """`classifier`: 1 - cosine of the head's parameters and their initial ones; `representation`: of all
    others (thilak2022 §5).
    """

    def setup(self, context: ProbeContext) -> None:
        """Remember the initial weights.

        Raises:
            UserError: the model has no head, or nothing but a head.
        """
        head = head_of(context.model)
        own = [] if head is None else list(head.parameters())
        rest = [p for p in context.model.parameters() if all(p is not q for q in own)]
        if not own or not rest:
            raise UserError(
                "the model is not a representation under a head", where="probes.distance_from_init"
            )
        self.parts = {"representation": rest, "classifier": own}
        self.initial = {name: flattened(parameters) for name, parameters in self.parts.items()}

    def measure(self, objective: nn.Module, batch: Batch, t: Tick) -> dict[str, float | list[float]]:
        """Return both distances."""
        return {
            name: float(cosine_distance(flattened(parameters), self.initial[name]))
            for name, parameters in self.parts.items()
        }


def flattened(parameters: list[nn.Parameter]) -> Tensor:
    """Return parameters as one new vector."""
    return torch.cat([p.detach().flatten() for p in parameters])


build = DistanceFromInit
