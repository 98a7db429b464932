"""One circular convolution, ReLU and an average over all places: no circular shift changes the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imbtui.errors import UserError
from imbtui.option_types import Count, NonNegativeInt

WHERE = "model"


class CircularCNN(nn.Module):
    """The shift-invariant networks of singla2021 (Models), with torch's default initialisation.

    Exactly invariant for odd kernels with the usual padding. Less padding gives fewer places to average
    over and grades the invariance at equal numbers of parameters; none with a kernel as large as the
    image is a fully connected network.

    Args:
        input_shape: shape of one image, (C, H, W).
        make_head: makes the last layer for a feature width.
        width: channels of the convolution.
        kernel: rows and columns of its kernel; 0: those of the image, which must be square.
        padding: pixels on each side, around the edge; left out: kernel // 2.
        pool: how places are combined.
        input_norm: batch norm of the input's channels.
        bottleneck: width of a linear layer before the head, without a nonlinearity; 0: none.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        make_head: Callable[[int], nn.Module],
        *,
        width: Count = 100,
        kernel: NonNegativeInt = 0,
        padding: NonNegativeInt | None = None,
        pool: Literal["average", "max"] = "average",
        input_norm: bool = False,
        bottleneck: NonNegativeInt = 0,
    ) -> None:
        super().__init__()
        if len(input_shape) != 3:
            raise UserError("circular_cnn needs images", where=WHERE)
        channels, height, image_width = input_shape
        if not kernel and height != image_width:
            raise UserError(
                f"images of {height} x {image_width} pixels have no square kernel as large as they are",
                where=f"{WHERE}.kernel",
            )
        kernel = kernel or height
        padding = kernel // 2 if padding is None else padding
        if padding > min(height, image_width):
            raise UserError(
                f"{padding} pixels around an image of {height} x {image_width} repeat it more than once",
                where=f"{WHERE}.padding",
            )
        if kernel > min(height, image_width) + 2 * padding:
            raise UserError(
                f"the kernel of {kernel} is larger than the padded image of "
                f"{height + 2 * padding} x {image_width + 2 * padding}",
                where=f"{WHERE}.kernel",
            )
        self.norm = nn.BatchNorm2d(channels) if input_norm else nn.Identity()
        self.conv = nn.Conv2d(channels, width, kernel, padding=padding, padding_mode="circular")
        self.pool = pool
        self.reduce = nn.Linear(width, bottleneck) if bottleneck else nn.Identity()
        self.head = make_head(bottleneck or width)
        # The same function up to the order of places, in k^2 log k instead of k^4 operations.
        self.by_spectrum = height == image_width == kernel == 2 * padding + 1

    def features(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to features (N, width or bottleneck)."""
        x = self.norm(x)
        places = F.relu(full_circular(x, self.conv) if self.by_spectrum else self.conv(x))
        return self.reduce(places.mean((2, 3)) if self.pool == "average" else places.amax((2, 3)))

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, num_classes)."""
        return self.head(self.features(x))


def full_circular(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """Return a convolution with a kernel as large as the image, around the edge, by Fourier transform.

    The answer is the layer's own, with all places moved by the same circular shift. It is computed in
    float32 or better, since half precision has no transform of such sizes.

    Args:
        x: images (N, C, k, k).
        conv: with a k x k kernel.
    """
    with torch.autocast(x.device.type, enabled=False):
        wide = x if x.dtype == torch.float64 else x.float()
        spectrum = torch.einsum(
            "nchw,ochw->nohw", torch.fft.rfft2(wide), torch.fft.rfft2(conv.weight.to(wide.dtype)).conj()
        )
        answer = torch.fft.irfft2(spectrum, s=x.shape[-2:])
        return answer if conv.bias is None else answer + conv.bias.to(wide.dtype)[:, None, None]


build = CircularCNN
