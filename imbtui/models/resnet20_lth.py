"""ResNet-20 with projection shortcuts: what frankle2019 calls ResNet-18."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from imbtui.models._residual_stages import residual_stages
from imbtui.numerics.init import glorot_normal_


class ResNet20LTH(nn.Module):
    """A convolution with 16 channels and three stages of three basic blocks, 16, 32 and 64 channels.

    The second and third stage halve the image; there the shortcut is a 1x1 convolution with batch norm,
    as in the authors' later code. Global average pooling. Gaussian Glorot weights. 270,896 weights with 3
    input channels and 10 classes: 267,696 in convolutions that are pruned, 2,560 in shortcuts and 640 in
    the head, which are not: `exclude = ["shortcut", "head"]` (frankle2019 §4).

    Args:
        input_shape: shape of one image, (C, H, W).
        make_head: makes the last layer for a feature width.
    """

    def __init__(self, input_shape: tuple[int, ...], make_head: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.stem = nn.Conv2d(input_shape[0], 16, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(16)
        self.blocks = residual_stages(ProjectedBlock, 16, planes=(16, 32, 64), blocks=(3, 3, 3))
        self.head = make_head(64)
        glorot_normal_(self)

    def features(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to features (N, 64)."""
        return self.blocks(F.relu(self.norm(self.stem(x)))).mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, num_classes)."""
        return self.head(self.features(x))


class ProjectedBlock(nn.Module):
    """Two 3x3 convolutions with batch norm beside a shortcut, projected where the shape changes."""

    def __init__(self, channels: int, planes: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, planes, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(planes)
        self.shortcut = nn.Sequential()
        if stride != 1 or channels != planes:
            self.shortcut.append(nn.Conv2d(channels, planes, 1, stride=stride, bias=False))
            self.shortcut.append(nn.BatchNorm2d(planes))

    def forward(self, x: Tensor) -> Tensor:
        out = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(out + self.shortcut(x))


build = ResNet20LTH
