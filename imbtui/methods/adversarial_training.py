"""Train on inputs that were changed against the network, in part or altogether."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from imbtui.engine.batch import Batch, joined
from imbtui.engine.context import MethodContext
from imbtui.engine.method import Method
from imbtui.engine.modes import evaluation_mode
from imbtui.engine.pixels import from_pixels, require_pixels
from imbtui.engine.ranks import rank
from imbtui.engine.seeding import seed_of
from imbtui.engine.tick import Tick
from imbtui.errors import UserError
from imbtui.numerics.adversarial import pgd
from imbtui.numerics.critical_samples import critical_samples
from imbtui.numerics.ensembles import predicted_classes
from imbtui.option_types import Count, NonNegative, Positive, Rate

WHERE = "methods.adversarial_training"
NEEDS_STEPS = True
METRICS = ("running/adversarial_error",)


class AdversarialTraining(Method):
    """The loss is (1 - weight) that of the batch + weight that of the batch under attack.

    Every step attacks the augmented batch anew, against the network in evaluation mode as it stands before
    the step. By projected gradient descent away from the labels (nakkiran2019 §6; 10 steps, all of the
    weight) or by Langevin search for another predicted class (arpit2017 §5, with the defaults of §4.4:
    `eps` 0.3 / 255 and 100 steps).

    Where `weight` is below 1, a batch and its attacked copy pass through the network together, so batch norm
    sees both. Under `loss.normalise = "sum"` both then count twice. Logged: `adversarial_error`, the share of
    attacked examples that the network in training mode gets wrong.

    Args:
        attack: `pgd`: projected gradient descent, with one step and step 1 the fast gradient sign method;
            `lass`: Langevin adversarial sample search.
        eps: radius of the ball that the attack stays in, in units of pixels.
        norm: its norm; `lass` has `linf`.
        steps: of the attack.
        step: length of a step, in radii; None: 0.2, and 0.25 / 0.3 of `lass`.
        noise: deviation of the Gaussian noise of a step of `lass`, in radii.
        random_start: whether `pgd` begins at a random point of the ball.
        bounds: smallest and largest value of a pixel that `pgd` may reach; []: none. `lass` has none.
        weight: share of the loss that is taken under attack.
    """

    def __init__(
        self,
        *,
        attack: Literal["pgd", "lass"] = "pgd",
        eps: Positive = 0.03,
        norm: Literal["linf", "l2"] = "linf",
        steps: Count = 10,
        step: Positive | None = None,
        noise: NonNegative = 0.6666666666666666,
        random_start: bool = True,
        bounds: list[float] = [0.0, 1.0],  # noqa: B006  a recipe's default; never changed
        weight: Rate = 1.0,
    ) -> None:
        super().__init__()
        if attack == "lass" and norm != "linf":
            raise UserError(
                "Langevin search has boxes and no balls", where=f"{WHERE}.norm", hint='Use "linf".'
            )
        if bounds and (len(bounds) != 2 or bounds[0] >= bounds[1]):
            raise UserError("bounds are two values, the smaller one first", where=f"{WHERE}.bounds")
        self.attack = attack
        self.eps = eps
        self.norm: Literal["linf", "l2"] = norm
        self.steps = steps
        self.step = step or (0.2 if attack == "pgd" else 0.25 / 0.3)
        self.noise = noise
        self.random_start = random_start
        self.bounds = (bounds[0], bounds[1]) if bounds else None
        self.weight = weight
        self._halves = False
        self._logs: dict[str, Tensor] = {}

    def setup(self, context: MethodContext) -> None:
        """Remember the network.

        Raises:
            UserError: inputs are tokens, or each image has a scale of its own.
        """
        if context.vocabulary:
            raise UserError("inputs are tokens, which no small change leads away from", where=WHERE)
        self.scale = require_pixels(context.pixels, where=WHERE)
        self.context = context

    @contextlib.contextmanager
    def around_step(self, batch: Batch, t: Tick) -> Iterator[Batch | None]:
        """Give the batch under attack, or both halves."""
        attacked = replace(batch, x=self._attacked(batch, t))
        self._halves = self.weight < 1
        if not self._halves:
            yield attacked
            return
        if batch.terms:
            raise UserError(
                "labels were mixed before the batch was attacked",
                where=WHERE,
                hint="List adversarial_training first, or set its weight to 1.",
            )
        yield joined([batch, attacked])
        self._halves = False

    def _attacked(self, batch: Batch, t: Tick) -> Tensor:
        """Return the inputs of the batch under attack."""
        model, device = self.context.model, self.context.device
        seed = seed_of(self.context.seed, WHERE, t.stage, t.step, rank())
        generator = torch.Generator(device).manual_seed(seed)
        pixels, logits_of = self.scale.pixels(batch.x), from_pixels(model, self.scale)
        with evaluation_mode(model):
            if self.attack == "lass":
                moved = critical_samples(
                    logits_of,
                    pixels,
                    radius=self.eps,
                    step=self.step * self.eps,
                    noise=self.noise * self.eps,
                    iterations=self.steps,
                    generator=generator,
                ).x
            else:
                moved = pgd(
                    logits_of,
                    pixels,
                    batch.y,
                    eps=self.eps,
                    step=self.step * self.eps,
                    steps=self.steps,
                    norm=self.norm,
                    random_start=self.random_start,
                    bounds=self.bounds,
                    generator=generator,
                )
        return self.scale.inputs(moved)

    def weights(self, batch: Batch, losses: Tensor, t: Tick) -> Tensor | None:
        """Return 2 (1 - weight) for the half as it is and 2 weight for the other, (2N,); they average 1."""
        if not self._halves:
            return None
        clean = torch.arange(len(losses), device=losses.device) < len(losses) // 2
        return torch.where(clean, 2 * (1 - self.weight), 2 * self.weight).to(losses.dtype)

    def penalty(self, batch: Batch, logits: Tensor, t: Tick) -> Tensor | None:
        """Add nothing; note how many of the attacked examples are wrong."""
        wrong = predicted_classes(logits.detach()) != batch.y
        attacked = wrong[len(wrong) // 2 :] if self._halves else wrong
        self._logs = {"adversarial_error": attacked.float().mean()}
        return None

    def logs(self) -> dict[str, Tensor]:
        """Return the error of the last batch under attack."""
        return self._logs


build = AdversarialTraining
