"""Five-layer convolutional network of a chosen width, for sweeps over it (nakkiran2019)."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from imbtui.models._width import draws_of
from imbtui.option_types import Count


class WidthCNN(nn.Module):
    """CNN5(c) of nakkiran2019 §4: 3x3 convolutions with c, 2c, 4c and 8c channels, then the head.

    Batch norm and ReLU after each convolution, 2x2 max-pooling after all but the first, at the end the
    maximum over what is left of the image (4 x 4 of 32 x 32). torch's default initialisation; networks of
    different widths are drawn independently. 1,558,026 parameters at width 64 with 3 input channels and 10
    classes.

    Args:
        input_shape: shape of one image, (C, H, W), at least 8 x 8.
        make_head: makes the last layer for a feature width.
        width: channels of the first convolution, c.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        make_head: Callable[[int], nn.Module],
        *,
        width: Count = 64,
    ) -> None:
        super().__init__()
        with draws_of(width):
            layers: list[nn.Module] = []
            channels = input_shape[0]
            for number, planes in enumerate((width, 2 * width, 4 * width, 8 * width)):
                layers += [nn.Conv2d(channels, planes, 3, padding=1), nn.BatchNorm2d(planes), nn.ReLU()]
                if number:
                    layers.append(nn.MaxPool2d(2))
                channels = planes
            self.body = nn.Sequential(*layers)
            self.head = make_head(channels)

    def features(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to features (N, 8 width)."""
        return self.body(x).amax((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, num_classes)."""
        return self.head(self.features(x))


build = WidthCNN
