"""Give some training examples a wrong label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from imbtui.engine.examples import Examples
from imbtui.errors import UserError
from imbtui.numerics.label_noise import (
    CIFAR10_PAIRS,
    MNIST_PAIRS,
    binary_noise,
    circular_pairs,
    draw_noisy_labels,
    legacy_block_pairs,
    offset_labels,
    pair_noise,
    superclass_pairs,
    symmetric_noise,
    uniform_noise,
)
from imbtui.option_types import Rate

WHERE = "corruptions.label_noise"


class LabelNoise:
    """Draws each training label anew from its clean label's row of a transition matrix (patrini2017 §3).

    Examples draw independently, by `seed`; those whose label changes are marked as corrupted. The matrix
    and the realised counts are kept with the run, in artifacts/training_labels.npz.

    Args:
        kind: `symmetric`: to each other class alike; `rate` is the share of labels that change.
            `uniform`: redrawn from all classes, the true one included; rate * (1 - 1 / K) change.
            `asymmetric`: to one similar class.
        rate: probability that a label is flipped (`uniform`: redrawn).
        classes: similar classes of `asymmetric`: `circular`: the next class; `mnist`: 7 to 1, 2 to 7,
            5 and 6 swapped, 3 to 8; `cifar10`: truck to automobile, bird to airplane, deer to horse,
            cat and dog swapped; `superclasses`: the next class of the same super-class (CIFAR-100);
            `legacy_blocks`: the next class within classes 0-4, 5-9 and so on, which the released code
            takes for super-classes; `binary`: 1 to 0, and 0 to 1 with probability 0.05.
        pairs: other similar classes for `asymmetric`, as [from, to].
        nested: for `symmetric` and `uniform`: labels that are wrong at a lower rate are wrong at a higher
            one too, and have the same label there (nakkiran2019 §3).
    """

    def __init__(
        self,
        *,
        kind: Literal["symmetric", "uniform", "asymmetric"] = "symmetric",
        rate: Rate = 0.2,
        classes: Literal[
            "circular", "mnist", "cifar10", "superclasses", "legacy_blocks", "binary"
        ] = "circular",
        pairs: list[list[int]] | None = None,
        nested: bool = False,
    ) -> None:
        if kind != "asymmetric" and (pairs is not None or classes != "circular"):
            raise UserError(
                f"{kind} noise flips to all classes alike; pairs and classes are for asymmetric noise",
                where=WHERE,
            )
        if nested and kind == "asymmetric":
            raise UserError("nested is for symmetric and uniform noise", where=f"{WHERE}.nested")
        self.kind = kind
        self.nested = nested
        self.rate = rate
        self.classes = classes
        self.pairs = pairs

    def __call__(self, examples: Examples, num_classes: int, *, split_seed: int, seed: int) -> Examples:
        """Return the examples with noisy labels.

        Raises:
            UserError: the kind of noise does not fit the data set's classes.
        """
        matrix = self.matrix(num_classes, examples.superclasses)
        rng = np.random.RandomState(seed)
        if self.nested:
            u = rng.random_sample(len(examples))
            offsets = rng.randint(1 if self.kind == "symmetric" else 0, num_classes, len(examples))
            noisy = offset_labels(examples.targets, u, offsets, self.rate, num_classes)
        else:
            noisy = draw_noisy_labels(examples.targets, matrix, rng)
        return examples.relabel(noisy, noisy != examples.targets, matrix)

    def matrix(self, num_classes: int, superclasses: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
        """Return the transition matrix (K, K), rows clean and columns noisy.

        Args:
            num_classes: K.
            superclasses: super-class of each class, (K,), where the data set has them.

        Raises:
            UserError: the kind of noise does not fit the classes.
        """
        if self.kind == "symmetric":
            return symmetric_noise(num_classes, self.rate)
        if self.kind == "uniform":
            return uniform_noise(num_classes, self.rate)
        try:
            if self.pairs is None and self.classes == "binary":
                if num_classes != 2:
                    raise ValueError(f"binary noise is for two classes, and there are {num_classes}")
                return binary_noise(self.rate)
            return pair_noise(num_classes, self.rate, self._pairs(num_classes, superclasses))
        except ValueError as error:
            raise UserError(str(error), where=WHERE) from error

    def _pairs(self, num_classes: int, superclasses: NDArray[np.int64] | None) -> Sequence[Sequence[int]]:
        if self.pairs is not None:
            return self.pairs
        if self.classes == "superclasses":
            if superclasses is None:
                raise ValueError("the data set has no super-classes; cifar100 has")
            return superclass_pairs(superclasses.tolist())
        if self.classes == "legacy_blocks":
            return legacy_block_pairs(num_classes)
        return {"mnist": MNIST_PAIRS, "cifar10": CIFAR10_PAIRS}.get(self.classes, circular_pairs(num_classes))


build = LabelNoise
