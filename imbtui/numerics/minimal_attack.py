"""The smallest change of an input, in Euclidean length, that a classifier gets wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from imbtui.numerics.adversarial import steepest

LAST_LR = 0.01
"""Length of the last step's gradient; the first one's is 1."""


@dataclass(frozen=True)
class MinimalAttack:
    """What a search found.

    Attributes:
        delta: the smallest adversarial change of each input, (N, ...); zero where none was found.
        norms: its l2 length, (N,); infinite where none was found.
        success: whether one was found, (N,) bool.
    """

    delta: Tensor
    norms: Tensor
    success: Tensor


def decoupled_attack(
    model: Callable[[Tensor], Tensor],
    x: Tensor,
    targets: Tensor,
    *,
    steps: int = 1000,
    gamma: float = 0.05,
    initial_norm: float = 1.0,
    bounds: Sequence[float] | None = None,
    levels: int = 0,
    generator: torch.Generator | None = None,
) -> MinimalAttack:
    """Search by decoupled direction and norm (DDN; singla2021, Attacks and metrics).

    Each step records x + delta if it is adversarial, adds the unit gradient of cross-entropy to delta
    (its length falls from 1 to 0.01 by a cosine), shrinks the norm by 1 - gamma after an adversarial step
    or grows it by 1 + gamma, and brings delta to that norm. An input that is classified wrongly as it is
    has norm 0.

    Where cross-entropy has no gradient (saturated logits) the one of the margin is taken, and a random
    direction where that vanishes too.

    Args:
        model: maps inputs to logits (N, K), in evaluation mode.
        x: inputs (N, ...).
        targets: labels (N,).
        steps: at least 1.
        gamma: relative change of the norm in a step.
        initial_norm: the first norm.
        bounds: smallest and largest value of an input; None: any.
        levels: values between the bounds that are distinguished, as image files have; 0: all. One of 256
            levels is larger than what a change of many pixels may need.
        generator: for random directions.
    """
    x, shape = x.detach(), (-1, *[1] * (x.dim() - 1))
    delta = torch.zeros_like(x)
    norms = x.new_full((len(x),), initial_norm)
    best, best_norms = torch.zeros_like(x), x.new_full((len(x),), math.inf)
    for step in range(steps):
        change = (x + delta).detach().requires_grad_()
        with torch.enable_grad():
            logits = model(change)
            loss = F.cross_entropy(logits, targets, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, change, retain_graph=True)
            gradient = _instead(gradient, logits, targets, change)
        adversarial = logits.argmax(1) != targets
        size = delta.flatten(1).norm(dim=1)
        better = adversarial & (size < best_norms)
        best_norms = size.where(better, best_norms)
        best = delta.where(better.view(shape), best)
        lr = LAST_LR + (1 - LAST_LR) * (1 + math.cos(math.pi * step / steps)) / 2
        delta = delta + lr * steepest(gradient, "l2", generator)
        norms = norms * torch.where(adversarial, 1 - gamma, 1 + gamma)
        length = delta.flatten(1).norm(dim=1).clamp_min(torch.finfo(x.dtype).tiny)
        delta = delta * (norms / length).view(shape)
        if bounds is not None:
            delta = _within(x + delta, bounds, levels) - x
    return MinimalAttack(best, best_norms, best_norms.isfinite())


def _within(x: Tensor, bounds: Sequence[float], levels: int) -> Tensor:
    low, high = bounds
    x = x.clamp(low, high)
    if not levels:
        return x
    unit = (high - low) / (levels - 1)
    return ((x - low) / unit).round() * unit + low


def _instead(gradient: Tensor, logits: Tensor, targets: Tensor, x: Tensor) -> Tensor:
    """Return the gradients with those that vanish replaced by the margin's."""
    zero = ~gradient.flatten(1).any(1)
    if not bool(zero.any()):
        return gradient
    own = F.one_hot(targets, logits.shape[1]).bool()
    margin = logits.masked_fill(own, -math.inf).amax(1) - logits[own]
    (of_margin,) = torch.autograd.grad(margin.sum(), x)
    return torch.where(zero.view(-1, *[1] * (x.dim() - 1)), of_margin, gradient)
