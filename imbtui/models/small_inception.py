"""Inception for small images, with or without batch norm (zhang2017)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

# Channels of the 1x1 and the 3x3 convolution of each block; one number: a block that halves the image.
BLOCKS: tuple[tuple[int, ...], ...] = (
    (32, 32),
    (32, 48),
    (80,),
    (112, 48),
    (96, 64),
    (80, 80),
    (48, 96),
    (96,),
    (176, 160),
    (176, 160),
)


class SmallInception(nn.Module):
    """The network of zhang2017 §3: a convolution, eight Inception and two halving blocks, the mean, the head.

    Convolutions have biases; batch norm has no scale and shift. With them the count is the published one:
    1,649,402 parameters for 28 x 28 colour images and 10 classes, with batch norm and without.

    Args:
        input_shape: shape of one image, (C, H, W), at least 3 x 3.
        make_head: makes the last layer for a feature width.
        batch_norm: normalise before every ReLU.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        make_head: Callable[[int], nn.Module],
        *,
        batch_norm: bool = True,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [ConvUnit(input_shape[0], 96, 3, batch_norm=batch_norm)]
        channels = 96
        for block in BLOCKS:
            if len(block) == 1:
                layers.append(Downsample(channels, *block, batch_norm=batch_norm))
                channels += block[0]
            else:
                layers.append(Inception(channels, *block, batch_norm=batch_norm))
                channels = sum(block)
        self.body = nn.Sequential(*layers)
        self.head = make_head(channels)

    def features(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to features (N, 336)."""
        return self.body(x).mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, num_classes)."""
        return self.head(self.features(x))


class ConvUnit(nn.Sequential):
    """Convolution that keeps the size at stride 1, (batch norm,) ReLU."""

    def __init__(self, channels: int, planes: int, kernel: int, *, batch_norm: bool, stride: int = 1) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(channels, planes, kernel, stride=stride, padding=kernel // 2),
            nn.ReLU(),
        ]
        if batch_norm:
            layers.insert(1, nn.BatchNorm2d(planes, affine=False))
        super().__init__(*layers)


class Inception(nn.Module):
    """A 1x1 and a 3x3 convolution side by side."""

    def __init__(self, channels: int, narrow: int, wide: int, *, batch_norm: bool) -> None:
        super().__init__()
        self.narrow = ConvUnit(channels, narrow, 1, batch_norm=batch_norm)
        self.wide = ConvUnit(channels, wide, 3, batch_norm=batch_norm)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.narrow(x), self.wide(x)], 1)


class Downsample(nn.Module):
    """A 3x3 convolution and 3x3 max-pooling side by side, both with stride 2."""

    def __init__(self, channels: int, planes: int, *, batch_norm: bool) -> None:
        super().__init__()
        self.conv = ConvUnit(channels, planes, 3, batch_norm=batch_norm, stride=2)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.conv(x), self.pool(x)], 1)


build = SmallInception
