"""Conv-2: 2 convolutions and two dense layers, a small VGG (frankle2019)."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from imbtui.models._frankle_cnn import FrankleCNN
from imbtui.option_types import Rate


class Conv2(FrankleCNN):
    """The network of frankle2019 §4 with one module of 64 channels.

    4,300,992 weights with inputs of 3 x 32 x 32 and 10 classes.

    Args:
        input_shape: shape of one image, (C, H, W).
        make_head: makes the last layer for a feature width.
        dropout: probability that a unit of a dense layer is zeroed while training (0.5 in the paper's
            variant).
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        make_head: Callable[[int], nn.Module],
        *,
        dropout: Rate = 0.0,
    ) -> None:
        super().__init__(input_shape, make_head, modules=1, dropout=dropout)


build = Conv2
