"""LDAM: cross-entropy that demands a larger margin of rarer classes (cao2019)."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imbtui.option_types import NonNegative, Positive


class LDAM(nn.Module):
    """Label-distribution-aware margin loss (cao2019 §2.1). Made for cosines: use `model.head = "cosine"`.

    Args:
        class_counts: training examples a class, (K,).
        max_m: margin of the rarest class.
        s: scale of the cosines; the hinge has none.
        form: `softmax`: the loss of the paper; `hinge`: its baseline LDAM-HG (§2.5).
        margin: `by_class`: larger for rarer classes; `uniform`: `max_m` for every class, the paper's
            baselines M-DRW and, with the hinge, HG (§2.5).
    """

    margins: Tensor

    def __init__(
        self,
        class_counts: Tensor,
        *,
        max_m: NonNegative = 0.5,
        s: Positive = 30.0,
        form: Literal["softmax", "hinge"] = "softmax",
        margin: Literal["by_class", "uniform"] = "by_class",
    ) -> None:
        super().__init__()
        self.s = s
        self.form = form
        counts = class_counts if margin == "by_class" else torch.ones_like(class_counts)
        self.register_buffer("margins", ldam_margins(counts, max_m))

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Map cosines (N, K) and labels (N,) to one value a sample, (N,)."""
        if self.form == "hinge":
            return ldam_hinge_loss(logits, targets, self.margins)
        return ldam_loss(logits, targets, self.margins, self.s)


def ldam_margins(class_counts: Tensor, max_m: float) -> Tensor:
    """Return m_j = C n_j^(-1/4), C such that the largest is `max_m`; (K,) float64 (cao2019 §2.1).

    A class without examples, which the formula does not cover, is given the margin of the rarest class
    that has some: it changes no other margin.

    Args:
        class_counts: n_j, (K,).
        max_m: largest margin.
    """
    counts = class_counts.double()
    rarest = counts[counts > 0].min() if bool((counts > 0).any()) else counts.new_ones(())
    return max_m * (counts.clamp_min(rarest) / rarest) ** -0.25


def ldam_loss(logits: Tensor, targets: Tensor, margins: Tensor, s: float) -> Tensor:
    """Return logsumexp_j(u_j) - u_y with u_j = s (z_j - [j = y] m_y), (N,) (cao2019 §2.1).

    Args:
        logits: z, (N, K); cosines in the paper.
        targets: y, (N,) int64.
        margins: m, (K,).
        s: scale.
    """
    is_target = targets.unsqueeze(1) == torch.arange(logits.shape[1], device=logits.device)
    demanded = torch.where(is_target, margins.to(logits.dtype), 0.0)
    return F.cross_entropy(s * (logits - demanded), targets, reduction="none")


def ldam_hinge_loss(logits: Tensor, targets: Tensor, margins: Tensor) -> Tensor:
    """Return max(0, max_{j != y} z_j - z_y + m_y), (N,) (cao2019 §2.1).

    Args:
        logits: z, (N, K).
        targets: y, (N,) int64.
        margins: m, (K,).
    """
    is_target = targets.unsqueeze(1) == torch.arange(logits.shape[1], device=logits.device)
    highest_other = logits.masked_fill(is_target, -torch.inf).amax(1)
    of_target = logits.masked_fill(~is_target, 0.0).sum(1)
    return F.relu(highest_other - of_target + margins.to(logits.dtype)[targets])


build = LDAM
