"""Wide ResNet for small images: three pre-activation stages whose channels are multiplied."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from imbtui.models._residual_stages import residual_stages
from imbtui.models.preact_resnet_cifar import PreActBlock
from imbtui.numerics.init import kaiming_normal_
from imbtui.option_types import Count, Rate


class WideResNet(nn.Module):
    """WRN-depth-widen of verma2019 §Data and schedules and liu2020 §Models: three stages of (depth - 4) / 6
    blocks with 16, 32 and 64 channels, times `widen` (Zagoruyko and Komodakis 2016).

    Batch norm and ReLU once more before global average pooling. Kaiming-normal weights but for a cosine head.
    WRN-28-10 has 36,479,194 parameters with 3 input channels, 10 classes and a linear head.

    Args:
        input_shape: shape of one image, (C, H, W).
        make_head: makes the last layer for a feature width.
        depth: layers with weights, shortcuts among them.
        widen: by how much.
        dropout: probability that an activation between the convolutions of a block is zeroed while training.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        make_head: Callable[[int], nn.Module],
        *,
        depth: Literal[10, 16, 22, 28, 40] = 16,
        widen: Count = 4,
        dropout: Rate = 0.0,
    ) -> None:
        super().__init__()
        self.stem = nn.Conv2d(input_shape[0], 16, 3, padding=1, bias=False)
        block = partial(PreActBlock, dropout=dropout)
        planes = [16 * widen, 32 * widen, 64 * widen]
        self.blocks = residual_stages(block, 16, planes=planes, blocks=[(depth - 4) // 6] * 3)
        self.norm = nn.BatchNorm2d(planes[-1])
        self.head = make_head(planes[-1])
        kaiming_normal_(self)

    def features(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to features (N, 64 widen)."""
        return F.relu(self.norm(self.blocks(self.stem(x)))).mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, num_classes)."""
        return self.head(self.features(x))


build = WideResNet
