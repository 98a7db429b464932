"""Accuracy on inputs that were changed against the network: one gradient step, and several."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from imbtui.engine.batch import Batch
from imbtui.engine.context import ProbeContext
from imbtui.engine.method import Probe
from imbtui.engine.pixels import from_pixels, require_pixels
from imbtui.engine.ranks import sum_over_ranks
from imbtui.engine.seeding import seed_of
from imbtui.engine.tick import Tick
from imbtui.errors import UserError
from imbtui.numerics.adversarial import fgsm, pgd
from imbtui.numerics.ensembles import predicted_classes
from imbtui.option_types import Count, Positive
from imbtui.probes._model import evaluating, require_examples

WHERE = "probes.adversarial_accuracy"
METRICS = ("clean", "fgsm_{eps}", "pgd_{eps}")


class AdversarialAccuracy(Probe):
    """Accuracy under the fast gradient sign method and projected gradient descent (verma2019 §Metrics).

    `clean`; `fgsm_0.1` and `pgd_0.1` for each `eps`. High accuracy under one step alone may only mean that
    gradients are masked, so both are always measured; compare networks at similar `clean` accuracy. Units
    are those of pixels, also where the recipe normalises.

    Args:
        eps: radii of the ball.
        norm: its norm.
        steps: of `pgd`.
        step: length of its steps, in radii.
        random_start: whether it begins at a random point of the ball.
        bounds: smallest and largest value of a pixel; []: none.
        split: the examples.
    """

    def __init__(
        self,
        *,
        eps: list[Positive] = [0.03],  # noqa: B006  a recipe's default; never changed
        norm: Literal["linf", "l2"] = "linf",
        steps: Count = 10,
        step: Positive = 0.2,
        random_start: bool = False,
        bounds: list[float] = [0.0, 1.0],  # noqa: B006  a recipe's default; never changed
        split: Literal["val", "test", "train"] = "test",
    ) -> None:
        if bounds and (len(bounds) != 2 or bounds[0] >= bounds[1]):
            raise UserError("bounds are two values, the smaller one first", where=f"{WHERE}.bounds")
        self.eps = eps
        self.norm: Literal["linf", "l2"] = norm
        self.steps = steps
        self.step = step
        self.random_start = random_start
        self.bounds = (bounds[0], bounds[1]) if bounds else None
        self.split = split

    def setup(self, context: ProbeContext) -> None:
        """Remember the examples.

        Raises:
            UserError: the run has no such split, or each image has a scale of its own.
        """
        require_examples(context, self.split, where=f"{WHERE}.split")
        self.scale = require_pixels(context.pixels, where=WHERE)
        self.context = context

    def measure(self, objective: nn.Module, batch: Batch, t: Tick) -> dict[str, float | list[float]]:
        """Return the accuracies by name."""
        names = ["clean", *(f"{attack}_{eps:g}" for eps in self.eps for attack in ("fgsm", "pgd"))]
        # A process may have no batch of a small split.
        hits = torch.zeros(len(names) + 1, dtype=torch.int64, device=self.context.device)
        with evaluating(objective) as model:
            for b in self.context.batches(self.split):
                hits += self._hits(model, b, t)
        sum_over_ranks(hits)
        count, *correct = hits.tolist()
        return {name: value / count for name, value in zip(names, correct, strict=True)}

    def _hits(self, model: nn.Module, batch: Batch, t: Tick) -> Tensor:
        """Return the number of examples, and how many are predicted correctly under each attack."""
        logits_of = from_pixels(model, self.scale)
        pixels = self.scale.pixels(batch.x)
        attacked = [pixels]
        for eps in self.eps:
            seed = seed_of(self.context.seed, WHERE, t.stage, t.step, int(batch.index[0]))
            attacked.append(fgsm(logits_of, pixels, batch.y, eps=eps, norm=self.norm, bounds=self.bounds))
            attacked.append(
                pgd(
                    logits_of,
                    pixels,
                    batch.y,
                    eps=eps,
                    step=self.step * eps,
                    steps=self.steps,
                    norm=self.norm,
                    random_start=self.random_start,
                    bounds=self.bounds,
                    generator=torch.Generator(pixels.device).manual_seed(seed),
                )
            )
        hits = [(predicted_classes(logits_of(x)) == batch.y).sum() for x in attacked]
        return torch.stack([torch.full_like(hits[0], len(batch)), *hits])


build = AdversarialAccuracy
