"""Residual network for small images: ResNet-20, 32, 44, 56 or 110 with parameter-free shortcuts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from imbtui.models._residual_stages import residual_stages
from imbtui.numerics.init import kaiming_normal_


class ResNetCifar(nn.Module):
    """The network of cao2019 §4: three stages of (depth - 2) / 6 basic blocks, 16, 32 and 64 channels.

    The second and third stage halve the image; where shapes change, the shortcut takes every second
    pixel and pads channels with zeros (option A). Global average pooling; Kaiming-normal weights but for
    a cosine head. Parameters with 3 input channels, 10 classes and a linear head: 464,154 at depth 32.

    Args:
        input_shape: shape of one image, (C, H, W).
        make_head: makes the last layer for a feature width.
        depth: layers with weights.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        make_head: Callable[[int], nn.Module],
        *,
        depth: Literal[20, 32, 44, 56, 110] = 32,
    ) -> None:
        super().__init__()
        self.stem = nn.Conv2d(input_shape[0], 16, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(16)
        number = (depth - 2) // 6
        self.blocks = residual_stages(BasicBlock, 16, planes=(16, 32, 64), blocks=(number,) * 3)
        self.head = make_head(64)
        kaiming_normal_(self)

    def features(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to features (N, 64)."""
        return self.blocks(F.relu(self.norm(self.stem(x)))).mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, num_classes)."""
        return self.head(self.features(x))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with batch norm beside a shortcut without parameters."""

    def __init__(self, channels: int, planes: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, planes, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(planes)
        self.stride = stride
        self.added = planes - channels

    def forward(self, x: Tensor) -> Tensor:
        out = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(out + option_a_shortcut(x, self.stride, self.added))


def option_a_shortcut(x: Tensor, stride: int, added: int) -> Tensor:
    """Return x with every `stride`-th pixel and `added` zero channels, half before and half after it.

    cao2019 §4: doubling to `planes` channels pads planes / 4 on each side.
    """
    if stride == 1 and not added:
        return x
    return F.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, added // 2, added - added // 2))


build = ResNetCifar
