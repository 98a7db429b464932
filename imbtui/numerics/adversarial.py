"""Attacks: inputs within a ball around an example that raise its loss (verma2019, singla2021)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Norm = Literal["linf", "l2"]
Bounds = tuple[float, float]
LossOf = Callable[[Tensor, Tensor], Tensor]
cross_entropy: LossOf = partial(F.cross_entropy, reduction="none")


def fgsm(
    logits_of: Callable[[Tensor], Tensor],
    x: Tensor,
    targets: Tensor,
    *,
    eps: float,
    norm: Norm = "linf",
    bounds: Bounds | None = (0.0, 1.0),
    loss: LossOf = cross_entropy,
) -> Tensor:
    """Return clip(x + eps sign(d loss / d x)): the fast gradient sign method (verma2019 §Metrics).

    Under `l2` the step is eps g / ||g||_2. See `pgd` for the arguments.
    """
    return pgd(logits_of, x, targets, eps=eps, step=eps, steps=1, norm=norm, bounds=bounds, loss=loss)


def pgd(
    logits_of: Callable[[Tensor], Tensor],
    x: Tensor,
    targets: Tensor,
    *,
    eps: float,
    step: float,
    steps: int,
    norm: Norm = "linf",
    random_start: bool = False,
    bounds: Bounds | None = (0.0, 1.0),
    loss: LossOf = cross_entropy,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Return x after projected gradient ascent on the loss (verma2019 §Metrics, singla2021 §Attacks).

    Repeats x~ <- clip(x + project(x~ + step direction(d loss / d x~) - x)): first onto the ball of radius eps
    around x, then into the bounds. Nothing is drawn without a random start, unless a gradient is zero
    under `l2`.

    Args:
        logits_of: the network in evaluation mode, so that examples do not act on each other; parameters get
            no gradients.
        x: inputs (N, ...) in the units of eps and bounds; fold a standardisation into `logits_of`.
        targets: labels (N,) that the attack leads away from.
        eps: radius of the ball.
        step: length of a step.
        steps: how many.
        norm: of ball and step.
        random_start: begin at a uniformly drawn point of the ball.
        bounds: smallest and largest value of an input; None: unbounded.
        loss: maps logits and targets to one value a sample, (N,).
        generator: draws what is random, on the device of x; None: torch's own.
    """
    x = x.detach()
    moved = _clip(x + drawn_from_ball(x, eps, norm, generator), bounds) if random_start else x
    for _ in range(steps):
        gradient = input_gradient(logits_of, moved, targets, loss)
        moved = moved + step * steepest(gradient, norm, generator)
        moved = _clip(x + projected(moved - x, eps, norm), bounds)
    return moved


def input_gradient(
    logits_of: Callable[[Tensor], Tensor], x: Tensor, targets: Tensor, loss: LossOf = cross_entropy
) -> Tensor:
    """Return the gradient of each example's own loss by its input, like x."""
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(loss(logits_of(x), targets).sum(), x)
    return gradient


def steepest(gradient: Tensor, norm: Norm, generator: torch.Generator | None = None) -> Tensor:
    """Return the direction of length one in which each example's loss rises most, like the gradient.

    `linf`: the sign; `l2`: g / ||g||_2, and a random direction where the gradient is zero, as it is for
    saturated logits (singla2021 §Attacks and metrics).
    """
    if norm == "linf":
        return gradient.sign()
    flat = gradient.flatten(1)
    zero = ~flat.any(1, keepdim=True)
    if bool(zero.any()):
        drawn = torch.randn(flat.shape, generator=generator, device=flat.device, dtype=flat.dtype)
        flat = torch.where(zero, drawn, flat)
    # Dividing by the largest entry first keeps the squares of tiny gradients above zero.
    flat = flat / flat.abs().amax(1, keepdim=True)
    return (flat / flat.norm(dim=1, keepdim=True)).view_as(gradient)


def projected(delta: Tensor, eps: float, norm: Norm) -> Tensor:
    """Return the point of the ball of radius eps that is nearest to each delta (N, ...)."""
    if norm == "linf":
        return delta.clamp(-eps, eps)
    lengths = delta.flatten(1).norm(dim=1).clamp_min(torch.finfo(delta.dtype).tiny)
    return delta * (eps / lengths).clamp_max(1).view(-1, *[1] * (delta.dim() - 1))


def drawn_from_ball(x: Tensor, eps: float, norm: Norm, generator: torch.Generator | None = None) -> Tensor:
    """Return a uniformly drawn point of the ball of radius eps around zero for each example, like x."""
    if norm == "linf":
        drawn = torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        return eps * (2 * drawn - 1)
    normal = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    size = x[0].numel()
    radii = torch.rand(len(x), generator=generator, device=x.device, dtype=x.dtype) ** (1 / size)
    return eps * steepest(normal, "l2") * radii.view(-1, *[1] * (x.dim() - 1))


def _clip(x: Tensor, bounds: Bounds | None) -> Tensor:
    return x if bounds is None else x.clamp(*bounds)
