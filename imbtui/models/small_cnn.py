"""Small convolutional network with batch norm for images of 8 x 8 to 64 x 64."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from imbtui.numerics.init import kaiming_normal_
from imbtui.option_types import Count


class SmallCNN(nn.Module):
    """Three blocks of 3x3 convolution, batch norm and ReLU, halving the image after the first two.

    The last block is averaged over positions. Kaiming-normal weights.

    Args:
        input_shape: shape of one image, (C, H, W), at least 4 x 4.
        make_head: makes the last layer for a feature width.
        width: channels of the first block; the others have twice and four times as many.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        make_head: Callable[[int], nn.Module],
        *,
        width: Count = 32,
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList()
        channels = input_shape[0]
        for planes in (width, 2 * width, 4 * width):
            self.blocks.append(
                nn.Sequential(
                    nn.Conv2d(channels, planes, 3, padding=1, bias=False), nn.BatchNorm2d(planes), nn.ReLU()
                )
            )
            channels = planes
        self.head = make_head(channels)
        kaiming_normal_(self)

    def features(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to features (N, 4 width)."""
        for number, block in enumerate(self.blocks):
            x = block(F.max_pool2d(x, 2) if number else x)
        return x.mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, num_classes)."""
        return self.head(self.features(x))


build = SmallCNN
