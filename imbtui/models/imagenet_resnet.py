"""ResNet-18, 34 or 50 for photographs, from torchvision; with ImageNet weights if wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn

from imbtui.errors import UserError


class ImageNetResNet(nn.Module):
    """torchvision's ResNet with a head of its own. Grey images are repeated in three channels.

    Args:
        input_shape: shape of one image, (C, H, W), C being 1 or 3.
        make_head: makes the last layer for a feature width.
        depth: layers with weights.
        pretrained: start from torchvision's ImageNet-1k weights (version 1), which are downloaded into
            torch's cache.
        zero_init_residual: the last batch norm of each block starts at zero, so that blocks start as
            identities (kornblith2021 §3).

    Raises:
        UserError: the images have other channels, or the weights could not be fetched.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        make_head: Callable[[int], nn.Module],
        *,
        depth: Literal[18, 34, 50] = 18,
        pretrained: bool = False,
        zero_init_residual: bool = False,
    ) -> None:
        super().__init__()
        from torchvision import models

        if len(input_shape) != 3 or input_shape[0] not in (1, 3):
            raise UserError("imagenet_resnet needs grey or colour images", where="model.name")
        make = {18: models.resnet18, 34: models.resnet34, 50: models.resnet50}[depth]
        try:
            weights = "IMAGENET1K_V1" if pretrained else None
            self.body = make(weights=weights, zero_init_residual=zero_init_residual)
        except OSError as error:
            raise UserError(
                f"the ImageNet weights could not be fetched: {error}", where="model.pretrained"
            ) from error
        width = self.body.fc.in_features
        self.body.fc = nn.Identity()
        self.head = make_head(width)

    def features(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to features (N, 512), or (N, 2048) at depth 50."""
        return self.body(x.expand(-1, 3, -1, -1))

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, num_classes)."""
        return self.head(self.features(x))


build = ImageNetResNet
