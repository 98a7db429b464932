"""Pre-activation residual network for small images, of depth 6 n + 2 (He et al. 2016)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from imbtui.models._residual_stages import residual_stages
from imbtui.numerics.init import kaiming_normal_


class PreActResNetCifar(nn.Module):
    """The network of patrini2017 §5: three stages of (depth - 2) / 6 blocks with 16, 32 and 64 channels.

    A block is batch norm, ReLU, 3x3 convolution, twice, beside an identity; where channels change, the
    shortcut is a 1x1 convolution of the normalised input with the block's stride. Batch norm and ReLU come
    once more before global average pooling. Kaiming-normal weights but for a cosine head.

    Args:
        input_shape: shape of one image, (C, H, W).
        make_head: makes the last layer for a feature width.
        depth: layers with weights along the longest path.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        make_head: Callable[[int], nn.Module],
        *,
        depth: Literal[14, 20, 32, 44, 56, 110] = 32,
    ) -> None:
        super().__init__()
        self.stem = nn.Conv2d(input_shape[0], 16, 3, padding=1, bias=False)
        number = (depth - 2) // 6
        self.blocks = residual_stages(PreActBlock, 16, planes=(16, 32, 64), blocks=(number,) * 3)
        self.norm = nn.BatchNorm2d(64)
        self.head = make_head(64)
        kaiming_normal_(self)

    def features(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to features (N, 64)."""
        return F.relu(self.norm(self.blocks(self.stem(x)))).mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, num_classes)."""
        return self.head(self.features(x))


class PreActBlock(nn.Module):
    """Norm, ReLU and convolution, twice, beside a shortcut that nothing is applied to after the sum.

    Dropout, if any, is before the second convolution.
    """

    def __init__(self, channels: int, planes: int, stride: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, planes, 3, stride=stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(planes)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        changes = stride != 1 or planes != channels
        self.shortcut = nn.Conv2d(channels, planes, 1, stride=stride, bias=False) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        ready = F.relu(self.norm1(x))
        beside = x if self.shortcut is None else self.shortcut(ready)
        return beside + self.conv2(self.dropout(F.relu(self.norm2(self.conv1(ready)))))


build = PreActResNetCifar
