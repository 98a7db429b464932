"""How far away the closest input is that the network gets wrong."""

from __future__ import annotations

from functools import partial
from math import prod, sqrt
from typing import Literal

import torch
from torch import nn

from imbtui.engine.batch import Batch
from imbtui.engine.context import ProbeContext
from imbtui.engine.method import Probe
from imbtui.engine.pixels import from_pixels, require_pixels
from imbtui.engine.seeding import seed_of
from imbtui.engine.tick import Tick
from imbtui.errors import UserError
from imbtui.numerics.minimal_attack import decoupled_attack
from imbtui.option_types import Count, NonNegativeInt, Positive, Rate
from imbtui.probes._model import AT_ONCE, evaluating, first_examples, require_examples

WHERE = "probes.minimal_attack"
METRICS = ("success", "l2", "scaled")


class MinimalAttackProbe(Probe):
    """Mean l2 length of the smallest adversarial changes, by DDN (singla2021 §Attacks and metrics).

    `l2`: mean over the examples for which one was found; `success`: their share (an attack that fails
    looks like robustness); `scaled`: `l2` times the square root of the number of input values, which a
    shift-invariant network of one dot on grey keeps near 1. Units are those of pixels, also where the
    recipe normalises.

    Args:
        split: the examples.
        limit: at most this many of them, the first ones.
        steps: of the search.
        gamma: relative change of the norm in a step.
        initial_norm: the first norm.
        bounds: smallest and largest value of a pixel, such as [0, 1]; none: any.
        levels: values between the bounds that are distinguished; 0: all. Released code has 256, which
            puts a floor under small distances.
    """

    def __init__(
        self,
        *,
        split: Literal["train", "test", "val"] = "test",
        limit: Count = 100,
        steps: Count = 1000,
        gamma: Rate = 0.05,
        initial_norm: Positive = 1.0,
        bounds: list[float] = [],  # noqa: B006  a recipe's default; never changed
        levels: NonNegativeInt = 0,
    ) -> None:
        if bounds and (len(bounds) != 2 or bounds[0] >= bounds[1]):
            raise UserError("bounds are a smaller and a larger value", where=f"{WHERE}.bounds")
        if levels == 1 or (levels and not bounds):
            raise UserError("levels are two or more, between bounds", where=f"{WHERE}.levels")
        self.split = split
        self.limit = limit
        self.attack = partial(
            decoupled_attack,
            steps=steps,
            gamma=gamma,
            initial_norm=initial_norm,
            bounds=bounds or None,
            levels=levels,
        )

    def setup(self, context: ProbeContext) -> None:
        """Make sure that the split is there.

        Raises:
            UserError: it is not, or each image has a scale of its own.
        """
        require_examples(context, self.split, where=f"{WHERE}.split")
        self.context = context
        # The same ones on every process.
        x, self.targets = first_examples(context, self.split, self.limit)
        self.scale = require_pixels(context.pixels, where=WHERE)
        self.pixels = self.scale.pixels(x)

    def measure(self, objective: nn.Module, batch: Batch, t: Tick) -> dict[str, float | list[float]]:
        """Return the values by name."""
        device = self.context.device
        generator = torch.Generator(device).manual_seed(seed_of(self.context.seed, WHERE, t.stage, t.step))
        with evaluating(objective) as model:
            logits_of = from_pixels(model, self.scale)
            norms = [
                self.attack(logits_of, pixels, targets, generator=generator).norms
                for pixels, targets in zip(
                    self.pixels.split(AT_ONCE), self.targets.split(AT_ONCE), strict=True
                )
            ]
        lengths = torch.cat(norms).double()
        reached = lengths[lengths.isfinite()]
        values: dict[str, float | list[float]] = {"success": len(reached) / len(lengths)}
        if len(reached):
            mean = float(reached.mean())
            values |= {"l2": mean, "scaled": mean * sqrt(prod(self.context.input_shape))}
        return values


build = MinimalAttackProbe
