"""Random Fourier features with the best second layer in closed form, instead of training (nakkiran2019)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imbtui.engine.context import MethodContext
from imbtui.engine.method import Method
from imbtui.engine.seeding import seed_of
from imbtui.engine.tick import Tick
from imbtui.numerics.random_features import fourier_features, minimum_norm_weights, random_frequencies
from imbtui.option_types import Count

if TYPE_CHECKING:
    from imbtui.engine.run import Run

STAGE = "train"
TAKES_STEPS = False
METRICS = ("random_features/squared_error", "random_features/norm")


class RandomFeatures(Method):
    """Plans a stage `train` without steps: minimum-norm least squares on one-hot labels, in float64.

    The classifier takes the place of the recipe's model; it is logged where training of the recipe's
    length would end. Beside the usual metrics there are `random_features/norm`, Euclidean, of the second
    layer, and `squared_error`, the mean of |phi(x) b - y|^2 over training examples.

    Args:
        features: random Fourier features, frozen; drawn by the run's seed, and nested: fewer are the first
            of more (nakkiran2019 §4, §9).
    """

    def __init__(self, *, features: Count = 200) -> None:
        super().__init__()
        self.features = features

    def setup(self, context: MethodContext) -> None:
        """Put the classifier in the place of the model."""
        rng = np.random.default_rng(seed_of(context.seed, "random_features"))
        frequencies = random_frequencies(self.features, int(np.prod(context.input_shape)), rng)
        self.solution = FourierClassifier(torch.from_numpy(frequencies), context.num_classes)
        context.model = self.solution.to(context.device)

    def plan(self, run: Run) -> None:
        """Solve, evaluate and log."""
        if run.load_finished(STAGE, run.objective):
            return
        train = run.context.whole("train")
        error = self.solution.solve(train.x, train.y)
        end = Tick(STAGE, run.steps - 1, run.steps_per_epoch, run.steps)
        values = {"norm": float(self.solution.weights.norm()), "squared_error": error}
        run.evaluate(end, {f"random_features/{name}": value for name, value in values.items()})
        run.conclude(end)
        run.finish_stage(STAGE, end, run.objective)


class FourierClassifier(nn.Module):
    """Logits are the real part of phi(x) b for the features phi of the inputs, flattened.

    Args:
        frequencies: w, (features, d_in).
        num_classes: K.
    """

    frequencies: Tensor

    def __init__(self, frequencies: Tensor, num_classes: int) -> None:
        super().__init__()
        self.register_buffer("frequencies", frequencies)
        zeros = torch.zeros(len(frequencies), num_classes, dtype=torch.complex128)
        self.weights = nn.Parameter(zeros, requires_grad=False)

    def solve(self, x: Tensor, y: Tensor) -> float:
        """Fit labels (N,) of inputs (N, ...); return the mean squared error of an example."""
        phi = fourier_features(x.flatten(1).double().cpu().numpy(), self.frequencies.cpu().numpy())
        targets = F.one_hot(y, self.weights.shape[1]).double().cpu().numpy()
        weights = minimum_norm_weights(phi, targets)
        self.weights.copy_(torch.from_numpy(weights))
        return float((np.abs(phi @ weights - targets) ** 2).sum(1).mean())

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs (N, ...) to logits (N, num_classes)."""
        phi = torch.exp(-1j * (x.flatten(1).double() @ self.frequencies.T))
        return (phi @ self.weights).real


build = RandomFeatures
