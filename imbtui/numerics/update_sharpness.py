"""How sharply the loss curves along an update of the parameters (thilak2022)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor


def update_sharpness(
    loss_of: Callable[[Mapping[str, Tensor]], Tensor],
    before: Mapping[str, Tensor],
    after: Mapping[str, Tensor],
) -> Tensor:
    """Return u^T H u / |u|^2 by one Hessian-vector product, () (thilak2022 §5).

    u = after - before; H is the Hessian of the loss at `before`. NaN where nothing moved.

    Args:
        loss_of: the loss as a function of parameters by name, twice differentiable.
        before: parameters before the update.
        after: parameters after it.
    """
    start = {name: value.detach().requires_grad_() for name, value in before.items()}
    update = [after[name].detach() - value.detach() for name, value in before.items()]
    # Updates may be so small that their squares vanish in float32.
    length = torch.linalg.vector_norm(torch.cat([u.flatten() for u in update]))
    unit = [u / length for u in update]
    at = list(start.values())
    with torch.enable_grad():
        gradient = torch.autograd.grad(loss_of(start), at, create_graph=True, materialize_grads=True)
        slope = sum_of_products(gradient, unit)
        product = torch.autograd.grad(slope, at, materialize_grads=True)
    return sum_of_products(product, unit).detach()


def sum_of_products(a: tuple[Tensor, ...], b: list[Tensor]) -> Tensor:
    """Return the inner product of two lists of tensors as one vector each, ()."""
    return torch.stack([(x * y).sum() for x, y in zip(a, b, strict=True)]).sum()
