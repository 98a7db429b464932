"""Vision transformer: patches of an image attend to each other, and a class token answers."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imbtui.errors import UserError
from imbtui.models._attention import attend
from imbtui.option_types import Count


class VisionTransformer(nn.Module):
    """ViT without dropout, with norms in front of attention and feed-forward networks (thilak2022 §3).

    Defaults but `patch` are those of the paper's network for CIFAR-10; the patches are not given there.
    Positions and the class token are learned. With 3 x 32 x 32 pixels, patches of 4 and ten classes there
    are 21,342,346 parameters.

    Args:
        input_shape: shape of one image, (C, H, W).
        make_head: makes the last layer for a feature width.
        patch: side of a square patch, which divides both sides of the image.
        layers: attention and feed-forward pairs.
        width: of the residual stream; feed-forward layers are four times as wide.
        heads: attention heads; they share the width.

    Raises:
        UserError: the inputs are no images, the patches do not fit, or the heads do not share the width.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        make_head: Callable[[int], nn.Module],
        *,
        patch: Count = 4,
        layers: Count = 12,
        width: Count = 384,
        heads: Count = 12,
    ) -> None:
        super().__init__()
        if len(input_shape) != 3:
            raise UserError("vision_transformer needs images", where="model.name")
        channels, height, length = input_shape
        if height % patch or length % patch:
            raise UserError(
                f"images of {height} x {length} pixels cannot be cut into patches of {patch}",
                where="model.patch",
            )
        if width % heads:
            raise UserError(f"{heads} heads cannot share a width of {width}", where="model.heads")
        self.embedding = nn.Conv2d(channels, width, patch, stride=patch)
        self.token = nn.Parameter(torch.empty(1, 1, width))
        self.positions = nn.Parameter(torch.empty(1, 1 + height * length // patch**2, width))
        for drawn in (self.token, self.positions):
            nn.init.trunc_normal_(drawn, std=0.02)
        self.blocks = nn.Sequential(*(EncoderBlock(width, heads) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        self.head = make_head(width)

    def features(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to what the class token holds, (N, width)."""
        patches = self.embedding(x).flatten(2).transpose(1, 2)
        h = torch.cat([self.token.expand(len(x), -1, -1), patches], 1) + self.positions
        return self.norm(self.blocks(h)[:, 0])

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, num_classes)."""
        return self.head(self.features(x))


class EncoderBlock(nn.Module):
    """Attention over all positions, then a feed-forward network; each is added to what enters it.

    Args:
        width: of the residual stream.
        heads: attention heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, 4 * width)
        self.narrow = nn.Linear(4 * width, width)

    def forward(self, h: Tensor) -> Tensor:
        """Map (N, T, width) to the same shape."""
        gathered = attend(self.queries_keys_values(self.attention_norm(h)), self.heads)
        h = h + self.output(gathered)
        return h + self.narrow(F.gelu(self.widen(self.feed_forward_norm(h))))


build = VisionTransformer
