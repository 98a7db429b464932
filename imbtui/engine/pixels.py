"""How the inputs of a network come from pixels, for what is measured in units of pixels."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


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
