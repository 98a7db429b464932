"""The linear head of a network, for methods that solve for it."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from imbtui.errors import UserError
from imbtui.numerics.least_squares import weighted_least_squares


def linear_head(model: nn.Module, *, where: str) -> nn.Linear:
    """Return the network's head.

    Raises:
        UserError: it is not a linear layer over the network's features.
    """
    head = getattr(model, "head", None)
    if not isinstance(head, nn.Linear) or not hasattr(model, "features"):
        raise UserError(
            "least squares solve for a linear head, and the model has none",
            where=where,
            hint='Use model.head = "linear" and no method that changes the head.',
        )
    return head


@torch.no_grad()
def solve_head(
    model: nn.Module, x: Tensor, targets: Tensor, weights: Tensor | None = None, *, where: str
) -> None:
    """Put the least-squares solution for inputs x and targets (N, K) into the head, features as they are.

    Raises:
        UserError: the network has no linear head.
    """
    head = linear_head(model, where=where)
    features = cast(nn.Module, model.features)(x)
    matrix, offset = weighted_least_squares(features, targets, weights, intercept=head.bias is not None)
    head.weight.copy_(matrix)
    if head.bias is not None:
        head.bias.copy_(offset)
