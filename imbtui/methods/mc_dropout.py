"""Monte-Carlo dropout: several passes with dropout in evaluation, whose probabilities are averaged."""

from __future__ import annotations

from imbtui.engine.context import MethodContext
from imbtui.engine.method import Method
from imbtui.errors import UserError
from imbtui.methods._mc_dropout import SampledNetwork, dropout_layers
from imbtui.option_types import Count


class MCDropout(Method):
    """Leaves training as it is; evaluation asks the network with dropout on (baseline of liu2020).

    Args:
        samples: passes.
    """

    def __init__(self, *, samples: Count = 10) -> None:
        super().__init__()
        self.samples = samples

    def setup(self, context: MethodContext) -> None:
        """Wrap the model.

        Raises:
            UserError: it has no dropout.
        """
        if not dropout_layers(context.model):
            raise UserError(
                "the model has no dropout to sample",
                where="methods.mc_dropout",
                hint="Set model.dropout, or model.head_dropout, above 0.",
            )
        context.model = SampledNetwork(context.model, self.samples, context.seed)


build = MCDropout
