"""How the inputs of a network come from pixels, for what is measured in units of pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from imbtui.errors import UserError
from imbtui.numerics.ensembles import joint_logits


@dataclass(frozen=True)
class PixelScale:
    """Inputs are (pixels - mean) / std, where pixels are the data set's own values, usually in [0, 1].

    Attributes:
        mean, std: of each channel, (C, 1, 1); 0 and 1: inputs are pixels.
    """

    mean: Tensor | float = 0.0
    std: Tensor | float = 1.0

    def inputs(self, pixels: Tensor) -> Tensor:
        """Map pixels (N, ...) to inputs."""
        return (pixels - self.mean) / self.std

    def pixels(self, inputs: Tensor) -> Tensor:
        """Map inputs (N, ...) to pixels."""
        return inputs * self.std + self.mean


def require_pixels(scale: PixelScale | None, *, where: str) -> PixelScale:
    """Return how inputs come from pixels.

    Raises:
        UserError: each image has a scale of its own.
    """
    if scale is None:
        raise UserError(
            "inputs that are standardised image by image have no common unit of pixels",
            where=where,
            hint="Use augmentation.normalise, or neither.",
        )
    return scale


def from_pixels(model: nn.Module, scale: PixelScale) -> Callable[[Tensor], Tensor]:
    """Return the map from pixels (N, ...) to logits (N, K); of members, the logits of their mean."""

    def logits_of(pixels: Tensor) -> Tensor:
        return joint_logits(model(scale.inputs(pixels)))

    return logits_of
