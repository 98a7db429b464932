"""Train on mixed pairs of examples: hidden states at a random layer, or inputs, and their labels."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from imbtui.engine.batch import Batch
from imbtui.engine.context import MethodContext
from imbtui.engine.layers import Place, changing, chosen_places
from imbtui.engine.method import Method
from imbtui.engine.ranks import rank
from imbtui.engine.seeding import seed_of
from imbtui.engine.tick import Tick
from imbtui.numerics.mixup import draw_share, mixed_states
from imbtui.option_types import NonNegative

WHERE = "methods.manifold_mixup"
NEEDS_STEPS = True


class ManifoldMixup(Method):
    """Manifold mixup (verma2019 §Algorithm); `layers = ["input"]` is input mixup.

    In every step one layer, one share lam ~ Beta(alpha, alpha) and a random partner for each example are
    drawn. The states h of the layer become lam h + (1 - lam) h_partner, and the loss lam times that of the
    example's label plus 1 - lam times that of the partner's; a loss that is linear in a one-hot target, such
    as cross-entropy, is thereby that of the mixed target. Weights of other methods are those of each label's
    own example. Evaluation never mixes. `running/loss` is the mixed loss.

    A mixed loss of zero can be reached where the layer has at least K - 1 units; states of a class are
    then free to vary only in the others.

    Args:
        layers: where to mix. `input` (of tokens, their embeddings); `layer1`, ...: after a linear or
            convolution layer and what follows it; `block1`, ...: after a block; `stage1`, ...: after the last
            block of a stage; `features`: in front of the head. []: `input` and the first two stages, or else
            blocks, or else layers.
        alpha: of the Beta distribution; 0 mixes nothing. The paper has 2 for hidden layers on CIFAR, 6 with
            all layers, 1 for inputs.
        block_gradient: layers in front of the mixed one learn nothing from the step; most of the gain is
            lost, which the paper shows by it.
    """

    def __init__(
        self,
        *,
        layers: list[str] = [],  # noqa: B006  a recipe's default; never changed
        alpha: NonNegative = 2.0,
        block_gradient: bool = False,
    ) -> None:
        super().__init__()
        self.layers = layers
        self.alpha = alpha
        self.block_gradient = block_gradient
        self._places: dict[str, list[Place]] = {}

    def setup(self, context: MethodContext) -> None:
        """Find the layers.

        Raises:
            UserError: the model has no layer of a name.
        """
        self.names = list(chosen_places(context.model, self.layers, where=f"{WHERE}.layers"))
        self.context = context

    @contextlib.contextmanager
    def around_step(self, batch: Batch, t: Tick) -> Iterator[Batch | None]:
        """Mix states while the step lasts, and give the batch with both labels."""
        if not self._places:
            # Only now: a method further down the recipe may have wrapped the model.
            self._places = chosen_places(self.context.model, self.names, where=f"{WHERE}.layers")
        layer, share = self._draw(t)
        partners = self._partners(batch, t)
        mixed = replace(batch, terms=((batch, share), (batch.take(partners), 1 - share)))

        def change(states: Tensor) -> Tensor:
            return mixed_states(states, partners, share, blocked=self.block_gradient)

        with changing(self._places[layer], change, only_training=True):
            yield mixed

    def _draw(self, t: Tick) -> tuple[str, float]:
        """Return layer and share of a step, the same for all processes."""
        rng = np.random.default_rng(seed_of(self.context.seed, WHERE, t.step))
        layer = self.names[rng.integers(len(self.names))]
        return layer, draw_share(self.alpha, rng)

    def _partners(self, batch: Batch, t: Tick) -> Tensor:
        """Return a random permutation of this process's part of the batch, (N,)."""
        device = self.context.device
        generator = torch.Generator(device).manual_seed(seed_of(self.context.seed, WHERE, t.step, rank()))
        return torch.randperm(len(batch), generator=generator, device=device)


build = ManifoldMixup
