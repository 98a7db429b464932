"""Likelihood loss half-way between examples: hidden states are mixed, and scored against mixed labels."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imbtui.engine.batch import Batch
from imbtui.engine.context import ProbeContext
from imbtui.engine.layers import Place, changing, chosen_places
from imbtui.engine.method import Probe
from imbtui.engine.ranks import sum_over_ranks
from imbtui.engine.seeding import seed_of
from imbtui.engine.tick import Tick
from imbtui.numerics.mixup import mixed_states, mixed_targets, soft_cross_entropy
from imbtui.option_types import Rate
from imbtui.probes._model import evaluating

WHERE = "probes.interpolation_nll"
METRICS = ("{layers}",)


class InterpolationNLL(Probe):
    """Mean -sum_c t_c log p_c over pairs of test examples mixed at a layer (verma2019 §Metrics).

    A list for each layer, such as `interpolation_nll/layer1`, by share of the first example. Partners are
    drawn within evaluation batches, the same ones at every measurement.

    Args:
        layers: as in the method `manifold_mixup`; []: those that it mixes by default.
        shares: of the first example.
    """

    def __init__(
        self,
        *,
        layers: list[str] = [],  # noqa: B006  a recipe's default; never changed
        shares: list[Rate] = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0],  # noqa: B006  as above
    ) -> None:
        self.layers = layers
        self.shares = shares

    def setup(self, context: ProbeContext) -> None:
        """Find the layers.

        Raises:
            UserError: the model has no layer of a name.
        """
        self.places = chosen_places(context.model, self.layers, where=f"{WHERE}.layers")
        self.context = context

    def measure(self, objective: nn.Module, batch: Batch, t: Tick) -> dict[str, float | list[float]]:
        """Return the values by layer."""
        shape = (len(self.places), len(self.shares) + 1)
        # A process may have no batch of a small split.
        sums = torch.zeros(shape, dtype=torch.float64, device=self.context.device)
        with evaluating(objective) as model:
            for b in self.context.batches("test"):
                sums += self._sums(model, b)
        sum_over_ranks(sums)
        means = (sums[:, :-1] / sums[:, -1:]).tolist()
        return dict(zip(self.places, means, strict=True))

    def _sums(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return sums over the batch by layer and share, and the examples, (layers, shares + 1) float64."""
        seed = seed_of(self.context.seed, WHERE, int(batch.index[0]))
        generator = torch.Generator(batch.x.device).manual_seed(seed)
        partners = torch.randperm(len(batch), generator=generator, device=batch.x.device)
        rows = [
            [self._sum(model, batch, places, partners, share) for share in self.shares]
            for places in self.places.values()
        ]
        sums = torch.stack([torch.stack(row) for row in rows])
        return torch.cat([sums, torch.full_like(sums[:, :1], len(batch))], 1)

    def _sum(
        self, model: nn.Module, batch: Batch, places: list[Place], partners: Tensor, share: float
    ) -> Tensor:
        with changing(places, lambda states: mixed_states(states, partners, share)):
            logits = model(batch.x).double()
        if logits.dim() == 3:
            logits = logits.softmax(-1).mean(0).log()
        targets = mixed_targets(batch.y, partners, share, self.context.num_classes)
        return soft_cross_entropy(logits, targets).sum()


build = InterpolationNLL
