"""VGG-19 for small images: 16 convolutions with batch norm and one linear layer (frankle2019)."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from imbtui.numerics.init import glorot_normal_

STAGES = ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4)


class VGG19(nn.Module):
    """The variant of frankle2019 §4: 3x3 convolutions with batch norm and ReLU, averaged, then the head.

    The image is halved by max-pooling between the five stages (one pixel stays one pixel). Gaussian
    Glorot weights. 20,024,000 weights with 3 input channels and 10 classes, 5,120 of them in the head,
    which the paper does not prune: `exclude = ["head"]`.

    Args:
        input_shape: shape of one image, (C, H, W).
        make_head: makes the last layer for a feature width.
    """

    def __init__(self, input_shape: tuple[int, ...], make_head: Callable[[int], nn.Module]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = input_shape[0]
        for number, stage in enumerate(STAGES):
            if number:
                layers.append(nn.MaxPool2d(2, ceil_mode=True))
            for planes in stage:
                layers.append(nn.Conv2d(channels, planes, 3, padding=1, bias=False))
                layers += [nn.BatchNorm2d(planes), nn.ReLU()]
                channels = planes
        self.body = nn.Sequential(*layers)
        self.head = make_head(channels)
        glorot_normal_(self)

    def features(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to features (N, 512)."""
        return self.body(x).mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, num_classes)."""
        return self.head(self.features(x))


build = VGG19
