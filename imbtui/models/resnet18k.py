"""Pre-activation ResNet-18 of a chosen width, for sweeps over it (nakkiran2019)."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from imbtui.models._residual_stages import residual_stages
from imbtui.models._width import draws_of
from imbtui.option_types import Count


class ResNet18k(nn.Module):
    """The network of nakkiran2019 §4: four stages of two pre-activation blocks, k, 2k, 4k and 8k channels.

    Stages but the first halve the image; global average pooling. No batch norm before the head. torch's
    default initialisation; networks of different widths are drawn independently. 11,171,146 parameters at
    width 64 with 3 input channels and 10 classes. It is not `resnet20_lth`, which frankle2019 calls
    ResNet-18.

    Args:
        input_shape: shape of one image, (C, H, W).
        make_head: makes the last layer for a feature width.
        width: channels of the first stage, k; 64 is the usual ResNet-18.
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
            self.stem = nn.Conv2d(input_shape[0], width, 3, padding=1, bias=False)
            planes = [width << stage for stage in range(4)]
            self.blocks = residual_stages(PreActivationBlock, width, planes=planes, blocks=(2, 2, 2, 2))
            self.head = make_head(planes[-1])

    def features(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to features (N, 8 width)."""
        return self.blocks(self.stem(x)).mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, num_classes)."""
        return self.head(self.features(x))


class PreActivationBlock(nn.Module):
    """Two 3x3 convolutions, each after batch norm and ReLU; a projection starts from the first of these."""

    def __init__(self, channels: int, planes: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, planes, 3, stride=stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.shortcut: nn.Module | None = None
        if stride != 1 or channels != planes:
            self.shortcut = nn.Conv2d(channels, planes, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        active = F.relu(self.norm1(x))
        skipped = x if self.shortcut is None else self.shortcut(active)
        return self.conv2(F.relu(self.norm2(self.conv1(active)))) + skipped


build = ResNet18k
