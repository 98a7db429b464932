"""Replace inputs by noise with the mean and variance of the data."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from imbtui.corruptions._images import as_float, require_arrays
from imbtui.engine.examples import Examples
from imbtui.engine.seeding import seed_of
from imbtui.option_types import Rate

WHERE = "corruptions.random_inputs"
HALF_WIDTH = np.sqrt(3)
"""Half the width of a uniform distribution, in standard deviations."""


class RandomInputs:
    """Draws inputs anew and leaves the labels (zhang2017 §2 `gaussian`, arpit2017 §2 `randX`).

    The examples are `rate` of all, rounded, by a permutation of `seed`; they are marked as corrupted. Mean
    and variance are those of the training examples at this point. Bytes become float32 in [0, 1], for
    noise leaves that range.

    Args:
        kind: `gaussian`, or `uniform` over the interval that has the mean and variance.
        rate: share of the examples.
        moments: of all values together (`scalar`), of each image channel (the same for grey images), or of
            each pixel (a pixel that never changes stays as it is).
        test: replace the inputs of the same share of the validation and test examples, too (zhang2017).
    """

    def __init__(
        self,
        *,
        kind: Literal["gaussian", "uniform"] = "gaussian",
        rate: Rate = 1.0,
        moments: Literal["scalar", "channel", "pixel"] = "channel",
        test: bool = False,
    ) -> None:
        self.kind: Literal["gaussian", "uniform"] = kind
        self.rate = rate
        self.moments: Literal["scalar", "channel", "pixel"] = moments
        self.test = test

    def __call__(self, examples: Examples, num_classes: int, *, split_seed: int, seed: int) -> Examples:
        """Return the training examples with noise for inputs.

        Raises:
            UserError: the inputs are image files.
        """
        return self._replaced(examples, examples, seed_of(seed, "random_inputs", "train"))

    def held_out(self, examples: Examples, train: Examples, *, split: str, seed: int) -> Examples:
        """Return the examples of another split; unchanged unless `test` is set.

        Raises:
            UserError: the inputs are image files.
        """
        if not self.test:
            return examples
        return self._replaced(examples, train, seed_of(seed, "random_inputs", split))

    def _replaced(self, examples: Examples, train: Examples, seed: int) -> Examples:
        require_arrays(examples, where=WHERE)
        rng = np.random.default_rng(seed)
        chosen = rng.permutation(len(examples))[: round(self.rate * len(examples))]
        mean, std = input_moments(as_float(train.x), self.moments)
        x = as_float(examples.x)
        x[chosen] = matched_noise(rng, (len(chosen), *x.shape[1:]), mean, std, self.kind)
        is_corrupted = np.zeros(len(x), dtype=bool)
        is_corrupted[chosen] = True
        return examples.with_inputs(x, is_corrupted)


def input_moments(
    x: NDArray[np.float32], moments: Literal["scalar", "channel", "pixel"]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and population standard deviation that broadcast over inputs (zhang2017 §2).

    Args:
        x: images (N, H, W, C) or features (N, D); features have no channels, `channel` means all values.
        moments: what they are taken over.
    """
    axes = {"scalar": tuple(range(x.ndim)), "channel": tuple(range(max(x.ndim - 1, 2))), "pixel": (0,)}[
        moments
    ]
    return x.mean(axes, dtype=np.float64), x.std(axes, dtype=np.float64)


def matched_noise(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    mean: NDArray[np.float64],
    std: NDArray[np.float64],
    kind: Literal["gaussian", "uniform"],
) -> NDArray[np.float64]:
    """Return independent draws with the given mean and standard deviation (zhang2017 §2, arpit2017 §2)."""
    unit = rng.standard_normal(shape) if kind == "gaussian" else rng.uniform(-HALF_WIDTH, HALF_WIDTH, shape)
    return mean + std * unit


build = RandomInputs
