"""Conv-4: 4 convolutions and two dense layers, a small VGG (frankle2019)."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from imbtui.models._frankle_cnn import FrankleCNN
from imbtui.option_types import Rate


class Conv4(FrankleCNN):
    """The network of frankle2019 §4 with two modules of 64 and 128 channels.

    2,425,024 weights with inputs of 3 x 32 x 32 and 10 classes.

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
        super().__init__(input_shape, make_head, modules=2, dropout=dropout)


build = Conv4
