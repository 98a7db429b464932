"""LeNet-300-100: two hidden layers, Gaussian Glorot weights, zero biases (frankle2019)."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from imbtui.models.mlp import MLP
from imbtui.option_types import Count


class LeNet300100(MLP):
    """The fully connected network of frankle2019 §4; 266,200 weights on 28 x 28 inputs and 10 classes.

    Args:
        input_shape: shape of one input, (C, H, W) or (D,).
        make_head: makes the last layer for a feature width.
        hidden: widths of the hidden layers ([100, 50] in frankle2019 §10).
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        make_head: Callable[[int], nn.Module],
        *,
        hidden: list[Count] = [300, 100],  # noqa: B006  a recipe's default; never changed
    ) -> None:
        super().__init__(input_shape, make_head, hidden=hidden, init="glorot_normal")


build = LeNet300100
