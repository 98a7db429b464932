"""Fully connected network with ReLU or leaky ReLU."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Literal

from torch import Tensor, nn

from imbtui.numerics.init import glorot_normal_, he_normal_, kaiming_normal_
from imbtui.option_types import Count, Rate


class MLP(nn.Module):
    """Linear, (batch norm,) activation, (dropout) for every hidden layer, then the head; images flat.

    Args:
        input_shape: shape of one input, (C, H, W) or (D,).
        make_head: makes the last layer for a feature width.
        hidden: widths of the hidden layers; none: the head alone.
        init: `default`: torch's; `kaiming_normal`: cao2019 §4; `he_normal`: the same with zero biases,
            patrini2017 §5; `glorot_normal`: frankle2019 §4. A cosine head stays as it is.
        dropout: probability that a hidden unit is zeroed while training.
        batch_norm: normalise before each activation.
        input_norm: batch norm of every input value.
        activation: `leaky_relu` passes a hundredth of what is below 0.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        make_head: Callable[[int], nn.Module],
        *,
        hidden: list[Count] = [128, 64],  # noqa: B006  a recipe's default; never changed
        init: Literal["default", "kaiming_normal", "he_normal", "glorot_normal"] = "default",
        dropout: Rate = 0.0,
        batch_norm: bool = False,
        input_norm: bool = False,
        activation: Literal["relu", "leaky_relu"] = "relu",
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Flatten()]
        width = prod(input_shape)
        if input_norm:
            layers.append(nn.BatchNorm1d(width))
        for units in hidden:
            layers.append(nn.Linear(width, units))
            if batch_norm:
                layers.append(nn.BatchNorm1d(units))
            layers.append(nn.ReLU() if activation == "relu" else nn.LeakyReLU(0.01))
            if dropout:
                layers.append(nn.Dropout(dropout))
            width = units
        self.body = nn.Sequential(*layers)
        self.head = make_head(width)
        if init == "kaiming_normal":
            kaiming_normal_(self)
        elif init == "he_normal":
            he_normal_(self)
        elif init == "glorot_normal":
            glorot_normal_(self)

    def features(self, x: Tensor) -> Tensor:
        """Map inputs (N, ...) to the last hidden layer (N, width)."""
        return self.body(x)

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs (N, ...) to logits (N, num_classes)."""
        return self.head(self.features(x))


build = MLP
