"""Decoder-only transformer on tokens: it predicts the token after the last one."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imbtui.errors import UserError
from imbtui.models._attention import attend
from imbtui.option_types import Count

INPUTS = "tokens"


class Transformer(nn.Module):
    """Causal layers with the norm behind each sum, no dropout, no bias but the norms' (thilak2022 §3).

    Sinusoidal positions are added to the embeddings. The head, which has no bias either, sees the last
    position alone. With the official tokens modulo 97 there are about 450,000 parameters.

    Args:
        input_shape: (T,), tokens of an input.
        make_head: makes the last layer for a feature width.
        vocabulary: how many different tokens there are.
        layers: attention and feed-forward pairs.
        width: of the residual stream; feed-forward layers are four times as wide.
        heads: attention heads; they share the width.
    """

    positions: Tensor
    future: Tensor

    def __init__(
        self,
        input_shape: tuple[int, ...],
        make_head: Callable[[int], nn.Module],
        vocabulary: int,
        *,
        layers: Count = 2,
        width: Count = 128,
        heads: Count = 4,
    ) -> None:
        super().__init__()
        if width % heads:
            raise UserError(f"{heads} heads cannot share a width of {width}", where="model.heads")
        (length,) = input_shape
        self.embedding = nn.Embedding(vocabulary, width)
        self.register_buffer("positions", sinusoidal_positions(length, width), persistent=False)
        future = torch.ones(length, length, dtype=torch.bool).triu(1)
        self.register_buffer("future", future, persistent=False)
        self.layers = nn.ModuleList(DecoderLayer(width, heads) for _ in range(layers))
        self.head = make_head(width)
        for part in self.head.modules():
            if isinstance(part, nn.Linear):
                part.register_parameter("bias", None)

    def features(self, x: Tensor) -> Tensor:
        """Map tokens (N, T) to what the last position holds, (N, width)."""
        h = self.embedding(x) + self.positions
        for layer in self.layers:
            h = layer(h, self.future)
        return h[:, -1]

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (N, T) to logits (N, num_classes)."""
        return self.head(self.features(x))


class DecoderLayer(nn.Module):
    """Attention over the positions so far, then a feed-forward network, each added and normalised.

    Args:
        width: of the residual stream.
        heads: attention heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.queries_keys_values = nn.Linear(width, 3 * width, bias=False)
        self.output = nn.Linear(width, width, bias=False)
        self.attention_norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, 4 * width, bias=False)
        self.narrow = nn.Linear(4 * width, width, bias=False)
        self.feed_forward_norm = nn.LayerNorm(width)

    def forward(self, h: Tensor, future: Tensor) -> Tensor:
        """Map (N, T, width) to the same shape; `future` (T, T) marks what a position must not see."""
        gathered = attend(self.queries_keys_values(h), self.heads, hidden=future)
        h = self.attention_norm(h + self.output(gathered))
        return self.feed_forward_norm(h + self.narrow(F.relu(self.widen(h))))


def sinusoidal_positions(length: int, width: int) -> Tensor:
    """Return sines and cosines of each position, (length, width) (thilak2022 §3).

    Column i holds sin(position / 10000^(i / width)) for even i, and the cosine of the same angle beside it.
    """
    column = torch.arange(width, dtype=torch.float64)
    angle = torch.arange(length, dtype=torch.float64)[:, None] / 10000 ** ((column - column % 2) / width)
    return torch.where(column % 2 == 0, angle.sin(), angle.cos()).float()


build = Transformer
