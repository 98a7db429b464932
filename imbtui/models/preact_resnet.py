"""Pre-activation ResNets of four stages for small images, with two or three convolutions a block."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from imbtui.models._residual_stages import residual_stages
from imbtui.models.resnet18k import PreActivationBlock
from imbtui.option_types import Count

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 152: (3, 8, 36, 3)}
EXPANSION = 4


class PreActResNet(nn.Module):
    """The network of verma2019 §Data and schedules: 64, 128, 256 and 512 channels, times 4 from depth 50 on.

    A 3x3 stem; stages but the first halve the image; global average pooling and no batch norm before the
    head, as in the released code. torch's default initialisation. At depth 18 it is `resnet18k` of width 64.

    Args:
        input_shape: shape of one image, (C, H, W).
        make_head: makes the last layer for a feature width.
        depth: layers with weights along the longest path.
        width: channels of the first stage, a quarter of what leaves it from depth 50 on.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        make_head: Callable[[int], nn.Module],
        *,
        depth: Literal[18, 34, 50, 152] = 18,
        width: Count = 64,
    ) -> None:
        super().__init__()
        self.stem = nn.Conv2d(input_shape[0], width, 3, padding=1, bias=False)
        block, expansion = (BottleneckBlock, EXPANSION) if depth >= 50 else (PreActivationBlock, 1)
        planes = [width << stage for stage in range(4)]
        self.blocks = residual_stages(block, width, planes=planes, blocks=BLOCKS[depth], expansion=expansion)
        self.head = make_head(planes[-1] * expansion)

    def features(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to features (N, 8 width), or (N, 32 width) from depth 50 on."""
        return self.blocks(self.stem(x)).mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, num_classes)."""
        return self.head(self.features(x))


class BottleneckBlock(nn.Module):
    """A 3x3 convolution between two of 1x1, each after batch norm and ReLU, beside a shortcut."""

    def __init__(self, channels: int, planes: int, stride: int) -> None:
        super().__init__()
        wide = planes * EXPANSION
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, planes, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride=stride, padding=1, bias=False)
        self.norm3 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, wide, 1, bias=False)
        self.shortcut: nn.Module | None = None
        if stride != 1 or channels != wide:
            self.shortcut = nn.Conv2d(channels, wide, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        active = F.relu(self.norm1(x))
        skipped = x if self.shortcut is None else self.shortcut(active)
        out = self.conv2(F.relu(self.norm2(self.conv1(active))))
        return self.conv3(F.relu(self.norm3(out))) + skipped


build = PreActResNet
