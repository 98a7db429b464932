"""AlexNet for small images (zhang2017)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class SmallAlexNet(nn.Module):
    """The network of zhang2017 §3, with torch's default initialisation.

    Twice: 5x5 convolution with 64 channels, ReLU, 3x3 max-pooling with stride 2, local response
    normalisation; then dense layers with 384 and 192 units and the head. 1,387,786 parameters for 28 x 28
    colour images and 10 classes. The response normalisation is that of TensorFlow's CIFAR-10 tutorial
    (9 channels, alpha 0.001, beta 0.75, bias 1), since the paper does not give its constants.

    Args:
        input_shape: shape of one image, (C, H, W).
        make_head: makes the last layer for a feature width.
    """

    def __init__(self, input_shape: tuple[int, ...], make_head: Callable[[int], nn.Module]) -> None:
        super().__init__()
        channels, height, width = input_shape
        layers: list[nn.Module] = []
        for _ in range(2):
            layers += [
                nn.Conv2d(channels, 64, 5, padding=2),
                nn.ReLU(),
                nn.MaxPool2d(3, stride=2, padding=1),
                nn.LocalResponseNorm(9, alpha=1e-3, beta=0.75, k=1.0),
            ]
            channels, height, width = 64, (height + 1) // 2, (width + 1) // 2
        layers.append(nn.Flatten())
        features = channels * height * width
        for units in (384, 192):
            layers += [nn.Linear(features, units), nn.ReLU()]
            features = units
        self.body = nn.Sequential(*layers)
        self.head = make_head(features)

    def features(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to features (N, 192)."""
        # torch's response normalisation cannot view channels-last memory.
        return self.body(x.contiguous(memory_format=torch.contiguous_format))

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, num_classes)."""
        return self.head(self.features(x))


build = SmallAlexNet
