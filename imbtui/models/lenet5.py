"""LeNet-5: two convolutions with pooling, two dense layers, then the head."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from imbtui.errors import UserError


class LeNet5(nn.Module):
    """Convolutions of 6 and 16 maps (5 x 5), dense layers of 120 and 84 units, ReLU (lu2021 §3.6).

    The first convolution pads, so that 28 x 28 images give the 5 x 5 maps of the original's 32 x 32; the
    second pads only where its input is smaller than its kernel.

    Args:
        input_shape: (C, H, W), H and W at least 4.
        make_head: makes the last layer for a feature width.
    """

    def __init__(self, input_shape: tuple[int, ...], make_head: Callable[[int], nn.Module]) -> None:
        super().__init__()
        if len(input_shape) != 3 or min(input_shape[1:]) < 4:
            raise UserError("lenet5 needs images of at least 4 x 4 pixels", where="model.name")
        channels, height, width = input_shape
        padding = 0 if min(height, width) // 2 >= 6 else 2
        rows, columns = ((side // 2 - 4 + 2 * padding) // 2 for side in (height, width))
        self.body = nn.Sequential(
            nn.Conv2d(channels, 6, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5, padding=padding),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(16 * rows * columns, 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
        )
        self.head = make_head(84)

    def features(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to the last hidden layer (N, 84)."""
        return self.body(x)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, num_classes)."""
        return self.head(self.features(x))


build = LeNet5
