"""Langevin adversarial sample search: is there another predicted class nearby? (arpit2017)"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Search(NamedTuple):
    """Outcome of a search.

    Attributes:
        critical: whether another class was predicted within the box, (N,) bool.
        x: where the search ended, like the inputs.
        found: critical samples after each iteration, cumulative.
    """

    critical: Tensor
    x: Tensor
    found: list[int]


def critical_samples(
    logits_of: Callable[[Tensor], Tensor],
    x: Tensor,
    *,
    radius: float,
    step: float,
    noise: float,
    iterations: int,
    min_new: int = 0,
    generator: torch.Generator | None = None,
) -> Search:
    """Search a box around every input for one that gets another predicted class (arpit2017 §4.4).

    Repeats x~ <- clip(x~ + step sign(d CE(f(x~), y^) / d x~) + noise eta, x - radius, x + radius) with
    eta ~ N(0, I) and y^ = argmax f(x), which is the predicted class and never the label. Nothing is clipped
    to the range of pixels.

    Args:
        logits_of: the network in evaluation mode; parameters get no gradients.
        x: inputs (N, ...).
        radius, step, noise: r, alpha and beta in units of the inputs.
        iterations: most iterations.
        min_new: stop once an iteration finds fewer new critical samples than this; 0: never.
        generator: draws eta; None: torch's own.
    """
    predicted = logits_of(x).argmax(-1).detach()
    critical = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    moved, found = x.detach().clone(), []
    for _ in range(iterations):
        moved.requires_grad_()
        with torch.enable_grad():
            loss = F.cross_entropy(logits_of(moved), predicted, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, moved)
        moved = moved.detach() + step * gradient.sign()
        if noise:
            eta = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
            moved = moved + noise * eta
        moved = torch.clamp(moved, x - radius, x + radius)
        with torch.no_grad():
            critical = critical | (logits_of(moved).argmax(-1) != predicted)
        found.append(int(critical.sum()))
        if found[-1] - (found[-2] if len(found) > 1 else 0) < min_new:
            break
    return Search(critical, moved, found)
