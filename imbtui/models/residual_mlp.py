"""Fully connected residual network over a frozen map of its inputs."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from imbtui.option_types import Count, Rate


class ResidualMLP(nn.Module):
    """h = W_0 x with W_0 frozen, then h <- h + Dropout(ReLU(W_l h + b_l)) for every layer, then the head.

    The network of liu2020's two moons. Inputs are flattened.

    Args:
        input_shape: shape of one input, (C, H, W) or (D,).
        make_head: makes the last layer for a feature width.
        width: units of every layer.
        depth: residual layers.
        dropout: probability that a unit of a residual branch is zeroed while training.
        input_map: how the frozen map is drawn: `isometric`: N(0, 1 / width) without bias, which keeps
            lengths; `default`: torch's, with a bias, which stretches them; `glorot`: uniform without bias.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        make_head: Callable[[int], nn.Module],
        *,
        width: Count = 64,
        depth: Count = 4,
        dropout: Rate = 0.1,
        input_map: Literal["isometric", "default", "glorot"] = "isometric",
    ) -> None:
        super().__init__()
        self.input_map = nn.Linear(prod(input_shape), width, bias=input_map == "default")
        if input_map == "isometric":
            nn.init.normal_(self.input_map.weight, std=width**-0.5)
        elif input_map == "glorot":
            nn.init.xavier_uniform_(self.input_map.weight)
        self.input_map.requires_grad_(False)
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.dropout = nn.Dropout(dropout)
        self.head = make_head(width)

    def features(self, x: Tensor) -> Tensor:
        """Map inputs (N, ...) to what enters the head, (N, width)."""
        h = self.input_map(x.flatten(1))
        for layer in self.layers:
            h = h + self.dropout(F.relu(layer(h)))
        return h

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs (N, ...) to logits (N, num_classes)."""
        return self.head(self.features(x))


build = ResidualMLP
