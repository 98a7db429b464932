"""The head alone: a linear classifier of the flattened inputs."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Literal

from torch import Tensor, nn


class Linear(nn.Module):
    """Logits are linear in the inputs.

    Args:
        input_shape: shape of one input, (C, H, W) or (D,).
        make_head: makes the head for a feature width.
        bias: whether a linear head has an intercept; a cosine head never has.
        init: `default`: torch's; `zero`: weights and intercept start at zero, for a linear head only.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        make_head: Callable[[int], nn.Module],
        *,
        bias: bool = True,
        init: Literal["default", "zero"] = "default",
    ) -> None:
        super().__init__()
        self.head = make_head(prod(input_shape))
        if isinstance(self.head, nn.Linear):
            if not bias:
                self.head.register_parameter("bias", None)
            if init == "zero":
                for parameter in self.head.parameters():
                    nn.init.zeros_(parameter)

    def features(self, x: Tensor) -> Tensor:
        """Flatten inputs (N, ...) to (N, D)."""
        return x.flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs (N, ...) to logits (N, num_classes)."""
        return self.head(self.features(x))


build = Linear
