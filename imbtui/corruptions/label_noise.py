"""Give some training examples a wrong label."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from imbtui.engine.examples import Examples
from imbtui.errors import UserError
from imbtui.numerics.label_noise import (
    CIFAR10_PAIRS,
    MNIST_PAIRS,
    circular_pairs,
    draw_noisy_labels,
    pair_noise,
    symmetric_noise,
    uniform_noise,
)
from imbtui.option_types import Rate


class LabelNoise:
    """Draws each training label anew from its clean label's row of a transition matrix (patrini2017 §3).

    Examples draw independently, by `seed`; those whose label changes are marked as corrupted.

    Args:
        kind: `symmetric`: to each other class alike; `rate` is the share of labels that change.
            `uniform`: redrawn from all classes, the true one included; rate * (1 - 1 / K) change.
            `asymmetric`: to one similar class.
        rate: probability that a label is flipped (`uniform`: redrawn).
        classes: similar classes of `asymmetric`: `circular`: the next class; `mnist`: 7 to 1, 2 to 7,
            5 and 6 swapped, 3 to 8; `cifar10`: truck to automobile, bird to airplane, deer to horse,
            cat and dog swapped.
        pairs: other similar classes for `asymmetric`, as [from, to].
    """

    def __init__(
        self,
        *,
        kind: Literal["symmetric", "uniform", "asymmetric"] = "symmetric",
        rate: Rate = 0.2,
        classes: Literal["circular", "mnist", "cifar10"] = "circular",
        pairs: list[list[int]] | None = None,
    ) -> None:
        if kind != "asymmetric" and (pairs is not None or classes != "circular"):
            raise UserError(
                f"{kind} noise flips to all classes alike; pairs and classes are for asymmetric noise",
                where="corruptions.label_noise",
            )
        self.kind = kind
        self.rate = rate
        self.classes = classes
        self.pairs = pairs

    def __call__(self, examples: Examples, num_classes: int, *, split_seed: int, seed: int) -> Examples:
        """Return the examples with noisy labels.

        Raises:
            UserError: a pair does not fit the data set's classes.
        """
        noisy = draw_noisy_labels(examples.targets, self.matrix(num_classes), np.random.RandomState(seed))
        return examples.relabel(noisy, noisy != examples.targets)

    def matrix(self, num_classes: int) -> NDArray[np.float64]:
        """Return the transition matrix (K, K), rows clean and columns noisy.

        Raises:
            UserError: a pair does not fit the number of classes.
        """
        if self.kind == "symmetric":
            return symmetric_noise(num_classes, self.rate)
        if self.kind == "uniform":
            return uniform_noise(num_classes, self.rate)
        named = {"circular": circular_pairs(num_classes), "mnist": MNIST_PAIRS, "cifar10": CIFAR10_PAIRS}
        pairs = named[self.classes] if self.pairs is None else self.pairs
        try:
            return pair_noise(num_classes, self.rate, pairs)
        except ValueError as error:
            raise UserError(str(error), where="corruptions.label_noise") from error


build = LabelNoise
