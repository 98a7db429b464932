"""Make images smaller by averaging blocks of pixels."""

from __future__ import annotations

from numpy.typing import NDArray

from imbtui.corruptions._images import as_float, require_arrays
from imbtui.engine.examples import Examples
from imbtui.errors import UserError
from imbtui.option_types import Count

WHERE = "corruptions.downscale"


class Downscale:
    """Replaces blocks of factor x factor pixels by their mean, in every split (arpit2017 §2: 14 x 14 digits).

    No example counts as corrupted by it. Bytes become float32 in [0, 1].

    Args:
        factor: side of a block; it must divide height and width.
    """

    def __init__(self, *, factor: Count = 2) -> None:
        self.factor = factor

    def __call__(self, examples: Examples, num_classes: int, *, split_seed: int, seed: int) -> Examples:
        """Return the training examples with smaller images.

        Raises:
            UserError: inputs are no images, or blocks do not fit.
        """
        return self.held_out(examples, examples, split="train", seed=seed)

    def held_out(self, examples: Examples, train: Examples, *, split: str, seed: int) -> Examples:
        """Return the examples of a split with smaller images.

        Raises:
            UserError: inputs are no images, or blocks do not fit.
        """
        require_arrays(examples, where=WHERE)
        if examples.x.ndim != 4:
            raise UserError("only images can be made smaller", where=WHERE)
        height, width = examples.x.shape[1:3]
        if height % self.factor or width % self.factor:
            raise UserError(
                f"blocks of {self.factor} x {self.factor} do not fill {height} x {width} pixels",
                where=f"{WHERE}.factor",
            )
        return examples.with_inputs(block_means(as_float(examples.x), self.factor), examples.is_corrupted)


def block_means(x: NDArray, factor: int) -> NDArray:
    """Return images (N, H / factor, W / factor, C) of the means of blocks of (N, H, W, C)."""
    count, height, width, channels = x.shape
    return x.reshape(count, height // factor, factor, width // factor, factor, channels).mean((2, 4))


build = Downscale
