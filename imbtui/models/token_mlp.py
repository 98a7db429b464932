"""Fully connected network on embedded tokens, with ReLU."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import torch
from torch import Tensor, nn

from imbtui.option_types import Count

INPUTS = "tokens"


class TokenMLP(nn.Module):
    """The embeddings of all tokens side by side, linear and ReLU for every hidden layer, then the head.

    The embedding is drawn from N(0, 1 / embedding), all else is torch's default (thilak2022 §9).

    Args:
        input_shape: (T,), tokens of an input.
        make_head: makes the last layer for a feature width.
        vocabulary: how many different tokens there are.
        embedding: width of a token's embedding.
        hidden: widths of the hidden layers.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        make_head: Callable[[int], nn.Module],
        vocabulary: int,
        *,
        embedding: Count = 32,
        hidden: list[Count] = [64],  # noqa: B006  a recipe's default; never changed
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding)
        with torch.no_grad():
            self.embedding.weight.mul_(embedding**-0.5)
        layers: list[nn.Module] = []
        width = prod(input_shape) * embedding
        for units in hidden:
            layers += [nn.Linear(width, units), nn.ReLU()]
            width = units
        self.body = nn.Sequential(*layers)
        self.head = make_head(width)

    def features(self, x: Tensor) -> Tensor:
        """Map tokens (N, T) to the last hidden layer (N, width)."""
        return self.body(self.embedding(x).flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (N, T) to logits (N, num_classes)."""
        return self.head(self.features(x))


build = TokenMLP
