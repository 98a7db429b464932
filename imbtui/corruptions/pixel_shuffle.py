"""Permute the pixels of every image: all in one way, or each in its own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imbtui.corruptions._images import require_arrays
from imbtui.engine.examples import Examples
from imbtui.engine.seeding import seed_of

WHERE = "corruptions.pixel_shuffle"


class PixelShuffle:
    """Moves pixels to other places, their channels together (zhang2017 §2); features likewise.

    Validation and test images are permuted too: by the same permutation, or each by its own again. All
    examples are marked as corrupted.

    Args:
        per_image: an independent permutation for every image (`random_pixels`) instead of one for all
            (`shuffled_pixels`).
    """

    def __init__(self, *, per_image: bool = False) -> None:
        self.per_image = per_image

    def __call__(self, examples: Examples, num_classes: int, *, split_seed: int, seed: int) -> Examples:
        """Return the training examples with permuted pixels.

        Raises:
            UserError: the inputs are image files.
        """
        return self.held_out(examples, examples, split="train", seed=seed)

    def held_out(self, examples: Examples, train: Examples, *, split: str, seed: int) -> Examples:
        """Return the examples of a split with permuted pixels.

        Raises:
            UserError: the inputs are image files.
        """
        require_arrays(examples, where=WHERE)
        name = split if self.per_image else "all"
        rng = np.random.default_rng(seed_of(seed, "pixel_shuffle", name))
        x = permute_pixels(examples.x, rng, per_image=self.per_image)
        return examples.with_inputs(x, np.ones(len(x), dtype=bool))


def permute_pixels(x: NDArray, rng: np.random.Generator, *, per_image: bool) -> NDArray:
    """Return images (N, H, W, C) or features (N, D) with permuted positions (zhang2017 §2).

    Args:
        x: inputs of any type.
        rng: draws the permutation, or one an image, in order.
        per_image: whether each image has its own.
    """
    channels = x.shape[3] if x.ndim == 4 else 1
    pixels = x.reshape(len(x), -1, channels)
    count = pixels.shape[1]
    if per_image:
        order = rng.permuted(np.tile(np.arange(count), (len(x), 1)), axis=1)
        return np.take_along_axis(pixels, order[:, :, None], axis=1).reshape(x.shape)
    return pixels[:, rng.permutation(count)].reshape(x.shape)


build = PixelShuffle
