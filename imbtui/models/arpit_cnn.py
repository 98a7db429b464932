"""Two wide convolutions and two dense layers, with the regularisers that arpit2017 compares."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from imbtui.option_types import NonNegative, Rate


class ArpitCNN(nn.Module):
    """The network of arpit2017 §3, with torch's default initialisation.

    Twice: 5x5 convolution with 200 channels, batch norm, ReLU, 3x3 max-pooling; then dense layers with 384
    and 192 units, each with batch norm and ReLU, and the head. The paper gives neither padding nor strides:
    convolutions keep the size, pooling halves it.

    Args:
        input_shape: shape of one image, (C, H, W).
        make_head: makes the last layer for a feature width.
        dropout: probability that a hidden dense unit is zeroed while training.
        input_dropout: probability that an input value is zeroed while training.
        hidden_noise: standard deviation of Gaussian noise on hidden dense units while training.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        make_head: Callable[[int], nn.Module],
        *,
        dropout: Rate = 0.0,
        input_dropout: Rate = 0.0,
        hidden_noise: NonNegative = 0.0,
    ) -> None:
        super().__init__()
        channels, height, width = input_shape
        layers: list[nn.Module] = [nn.Dropout(input_dropout)] if input_dropout else []
        for _ in range(2):
            layers += [
                nn.Conv2d(channels, 200, 5, padding=2),
                nn.BatchNorm2d(200),
                nn.ReLU(),
                nn.MaxPool2d(3, stride=2, padding=1),
            ]
            channels, height, width = 200, (height + 1) // 2, (width + 1) // 2
        layers.append(nn.Flatten())
        features = channels * height * width
        for units in (384, 192):
            layers += [nn.Linear(features, units), nn.BatchNorm1d(units), nn.ReLU()]
            if hidden_noise:
                layers.append(GaussianNoise(hidden_noise))
            if dropout:
                layers.append(nn.Dropout(dropout))
            features = units
        self.body = nn.Sequential(*layers)
        self.head = make_head(features)

    def features(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to features (N, 192)."""
        return self.body(x)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, num_classes)."""
        return self.head(self.features(x))


class GaussianNoise(nn.Module):
    """Adds Gaussian noise of standard deviation `std` in training mode."""

    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = std

    def forward(self, x: Tensor) -> Tensor:
        return x + self.std * torch.randn_like(x) if self.training else x


build = ArpitCNN
