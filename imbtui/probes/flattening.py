"""How few directions the hidden states of a class vary in, layer by layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imbtui.engine.batch import Batch
from imbtui.engine.context import ProbeContext
from imbtui.engine.layers import FEATURES, chosen_places, places_in, states_at
from imbtui.engine.method import Probe
from imbtui.engine.ranks import is_main
from imbtui.engine.seeding import seed_of
from imbtui.engine.tick import Tick
from imbtui.numerics.flattening import class_singular_values, participation_ratio, scatter_ratio
from imbtui.option_types import Count
from imbtui.probes._model import evaluating, require_examples

WHERE = "probes.flattening"
METRICS = ("{layers}/scatter_ratio", "{layers}/largest", "{layers}/rest", "{layers}/participation_ratio")


class Flattening(Probe):
    """Singular values of each class's centred states, and scatter within classes (verma2019 §Metrics).

    For each layer, as in `flattening/layer1/scatter_ratio`: `scatter_ratio`, within classes over all, which
    is free of scale; `largest` and `rest`, the largest singular value of a class and the sum of the others;
    `participation_ratio`, how many directions it varies in; the last three as means over classes. Singular
    values shrink with the norm of the states, so prefer the ratios, and look at layers that were mixed.

    Args:
        layers: as in the method `manifold_mixup`; []: every stage, or else block, or else layer.
        examples: a split, or further examples that the data set has for probes.
        most: so many of them, drawn with the run's seed; left out: all. States of images are large.
    """

    def __init__(
        self,
        *,
        layers: list[str] = [],  # noqa: B006  a recipe's default; never changed
        examples: str = "train",
        most: Count | None = None,
    ) -> None:
        self.layers = layers
        self.examples = examples
        self.most = most

    def setup(self, context: ProbeContext) -> None:
        """Find layers and examples.

        Raises:
            UserError: one of them is not there.
        """
        require_examples(context, self.examples, where=f"{WHERE}.examples")
        everything = context.examples[self.examples]
        generator = torch.Generator().manual_seed(seed_of(context.seed, "flattening"))
        order = torch.randperm(len(everything), generator=generator)[: self.most]
        self.chosen = everything.take(order.sort().values.numpy())
        names = self.layers or _every_layer(context.model)
        self.places = {
            name: places[0]  # of several networks the first
            for name, places in chosen_places(context.model, names, where=f"{WHERE}.layers").items()
        }
        self.context = context

    def measure(self, objective: nn.Module, batch: Batch, t: Tick) -> dict[str, float | list[float]]:
        """Return the values by name."""
        if not is_main():
            return {}
        parts: list[list[Tensor]] = []
        targets: list[Tensor] = []
        with evaluating(objective) as model:
            for b in self.context.batches_of(self.chosen):
                parts.append([s.flatten(1) for s in states_at(model, list(self.places.values()), b.x)])
                targets.append(b.y)
        labels = torch.cat(targets)
        values: dict[str, float | list[float]] = {}
        for name, states in zip(self.places, zip(*parts, strict=True), strict=True):
            values |= {f"{name}/{key}": v for key, v in summary(torch.cat(states).double(), labels).items()}
        return values


def summary(states: Tensor, targets: Tensor) -> dict[str, float]:
    """Return the four values of a layer's states, (N, D) float64, with labels (N,)."""
    spectra = [class_singular_values(states, targets, int(label)) for label in targets.unique()]
    return {
        "scatter_ratio": float(scatter_ratio(states, targets)),
        "largest": float(torch.stack([s[0] for s in spectra]).mean()),
        "rest": float(torch.stack([s[1:].sum() for s in spectra]).mean()),
        "participation_ratio": float(torch.stack([participation_ratio(s) for s in spectra]).nanmean()),
    }


def _every_layer(model: nn.Module) -> list[str]:
    places = places_in(model)
    kind = next((k for k in ("stage", "block", "layer") if f"{k}1" in places), FEATURES)
    return [name for name in places if name.startswith(kind)]


build = Flattening
