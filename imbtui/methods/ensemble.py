"""Several networks in one run, trained on the same batches and asked together."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imbtui.engine.context import MethodContext
from imbtui.engine.method import Method
from imbtui.methods._networks import independent_networks
from imbtui.option_types import Count


class Ensemble(Method):
    """Trains independently drawn networks of the recipe side by side (nakkiran2019 §6).

    Each takes the steps that it would take alone. Evaluation averages their probabilities; the probe
    `plurality` counts their votes. Comes before methods that change the network.

    Args:
        members: how many networks.
    """

    def __init__(self, *, members: Count = 5) -> None:
        super().__init__()
        self.members = members

    def setup(self, context: MethodContext) -> None:
        """Put the networks in the place of the model.

        Raises:
            UserError: a method before this one has changed the network.
        """
        context.model = Members(independent_networks(context, self.members, where="methods.ensemble"))


class Members(nn.Module):
    """Networks with one input; their logits are stacked, (members, N, num_classes)."""

    def __init__(self, networks: list[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs (N, ...) to logits (members, N, num_classes)."""
        logits = torch.stack([network(x) for network in self.networks])
        if logits.requires_grad:
            # The loss is the mean over members; each is to follow the gradient of its own.
            logits.register_hook(lambda gradient: gradient * len(self.networks))
        return logits


build = Ensemble
