"""The convolutional networks of frankle2019 §4, which differ in how many modules they have."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from imbtui.numerics.init import glorot_normal_

CHANNELS = (64, 128, 256)
DENSE = (256, 256)


class FrankleCNN(nn.Module):
    """Modules of two 3x3 convolutions and a 2x2 max-pooling, two dense layers with 256 units, the head.

    ReLU after every layer but pooling and head; convolutions are padded. Gaussian Glorot weights, zero
    biases (frankle2019 §4).

    Args:
        input_shape: shape of one image, (C, H, W); H and W at least 2^`modules`.
        make_head: makes the last layer for a feature width.
        modules: how many; they have 64, 128 and 256 channels.
        dropout: probability that a unit of a dense layer is zeroed while training.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        make_head: Callable[[int], nn.Module],
        *,
        modules: int,
        dropout: float,
    ) -> None:
        super().__init__()
        channels, height, width = input_shape
        layers: list[nn.Module] = []
        for planes in CHANNELS[:modules]:
            layers += [nn.Conv2d(channels, planes, 3, padding=1), nn.ReLU()]
            layers += [nn.Conv2d(planes, planes, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
            channels = planes
        layers.append(nn.Flatten())
        units = channels * (height >> modules) * (width >> modules)
        for dense in DENSE:
            layers += [nn.Linear(units, dense), nn.ReLU()]
            if dropout:
                layers.append(nn.Dropout(dropout))
            units = dense
        self.body = nn.Sequential(*layers)
        self.head = make_head(units)
        glorot_normal_(self)

    def features(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to features (N, 256)."""
        return self.body(x)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, num_classes)."""
        return self.head(self.features(x))
