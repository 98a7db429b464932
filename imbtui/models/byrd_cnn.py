"""Five convolutions and two dense layers, with optional dropout and batch norm (byrd2019)."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from imbtui.errors import UserError
from imbtui.option_types import NonNegativeInt, Rate


class ByrdCNN(nn.Module):
    """The network of byrd2019 §4, with torch's default initialisation.

    Convolutions 3x3 with 64, 64, 128, 128 and 128 channels, 2x2 max-pooling after the second and the
    last, dense layers with 512 and 128 units, then the head; ReLU after each. Without padding an image of
    32 x 32 has 2,048 values before the dense layers.

    Args:
        input_shape: shape of one image, (C, H, W).
        make_head: makes the last layer for a feature width.
        padding: pixels of zeros around the input of every convolution; left out: 0, which needs images of
            20 x 20 or more, and 1 for smaller ones.
        dropout: probability that a hidden dense unit is zeroed while training.
        batch_norm: normalise before every ReLU.

    Raises:
        UserError: nothing would be left of the image.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        make_head: Callable[[int], nn.Module],
        *,
        padding: NonNegativeInt | None = None,
        dropout: Rate = 0.0,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels, *size = input_shape
        if padding is None:
            padding = 0 if min(size, default=0) >= 20 else 1
        for block in ((64, 64), (128, 128, 128)):
            for planes in block:
                layers.append(nn.Conv2d(channels, planes, 3, padding=padding))
                if batch_norm:
                    layers.append(nn.BatchNorm2d(planes))
                layers.append(nn.ReLU())
                channels = planes
                size = [pixels + 2 * padding - 2 for pixels in size]
            layers.append(nn.MaxPool2d(2))
            size = [pixels // 2 for pixels in size]
        if min(size, default=0) < 1:
            shape = " x ".join(map(str, input_shape))
            raise UserError(f"byrd_cnn needs larger images than {shape}", where="model.padding")
        layers.append(nn.Flatten())
        width = channels * size[0] * size[1]
        for units in (512, 128):
            layers.append(nn.Linear(width, units))
            if batch_norm:
                layers.append(nn.BatchNorm1d(units))
            layers.append(nn.ReLU())
            if dropout:
                layers.append(nn.Dropout(dropout))
            width = units
        self.body = nn.Sequential(*layers)
        self.head = make_head(width)

    def features(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to features (N, 128)."""
        return self.body(x)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, num_classes)."""
        return self.head(self.features(x))


build = ByrdCNN
