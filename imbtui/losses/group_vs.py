"""Vector-scaling loss with factors by label and group, for two classes (kini2021)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from imbtui.numerics.vector_scaling import binary_vs_loss, group_offsets, group_scales, require_two_classes
from imbtui.option_types import NonNegative


class GroupVS(nn.Module):
    """The group VS loss (kini2021 §2.3) of the score f = z_1 - z_0; class 1 is the positive label.

    | mode | Delta | iota |
    | --- | --- | --- |
    | `cdt` | (n_{y,g} / n_max)^gamma | 0 |
    | `la` | 1 | (n_{y,g} / n_max)^-gamma |
    | `vs` | (n_{y,g} / n_max)^gamma | (n_{y,g} / n_max)^-gamma |
    | `la_tau` | 1 | -tau ln(n_{y,g} / n) |
    | `vs_tau` | (n_{y,g} / n_max)^gamma | -tau ln(n_{y,g} / n) |

    Args:
        class_counts: training examples a class, (2,).
        group_counts: training examples by label and group, (2, G); None: all are one group.
        mode: one of the five.
        gamma: exponent.
        tau: factor of the logarithms.

    Raises:
        UserError: there are not two classes.
    """

    needs = ("group",)
    scales: Tensor
    offsets: Tensor

    def __init__(
        self,
        class_counts: Tensor,
        group_counts: Tensor | None = None,
        *,
        mode: Literal["cdt", "la", "vs", "la_tau", "vs_tau"] = "vs_tau",
        gamma: NonNegative = 0.3,
        tau: NonNegative = 1.0,
    ) -> None:
        super().__init__()
        require_two_classes(class_counts, "group_vs")
        group_counts = class_counts.unsqueeze(1) if group_counts is None else group_counts
        self.register_buffer("scales", group_scales(group_counts, mode, gamma))
        self.register_buffer("offsets", group_offsets(group_counts, mode, gamma, tau))

    def forward(self, logits: Tensor, targets: Tensor, group: Tensor | None = None) -> Tensor:
        """Map logits (N, 2), labels (N,) and groups (N,) to one value a sample, (N,)."""
        scores, signs = logits[:, 1] - logits[:, 0], 2 * targets - 1
        cell = targets, torch.zeros_like(targets) if group is None else group
        return binary_vs_loss(scores, signs, self.scales[cell], self.offsets[cell])


build = GroupVS
