"""Fully connected network of a chosen width, for sweeps over it (nakkiran2019)."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from imbtui.models._width import draws_of
from imbtui.models.mlp import MLP
from imbtui.option_types import Count


class WidthMLP(MLP):
    """Hidden layers of `width` units with ReLU, then the head (nakkiran2019 §9).

    torch's default initialisation; networks of different widths are drawn independently of each other.

    Args:
        input_shape: shape of one input, (C, H, W) or (D,).
        make_head: makes the last layer for a feature width.
        width: units of each hidden layer.
        layers: hidden layers.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        make_head: Callable[[int], nn.Module],
        *,
        width: Count = 64,
        layers: Count = 1,
    ) -> None:
        with draws_of(width):
            super().__init__(input_shape, make_head, hidden=[width] * layers)


build = WidthMLP
