"""Vector-scaling loss by label and group as the paper's released code has it: its additive part cancels."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from imbtui.numerics.vector_scaling import group_offsets, group_scales, group_vs_official_loss
from imbtui.option_types import NonNegative


class GroupVSOfficial(nn.Module):
    """The group loss of the released code (kini2021 §2.3), for comparison with `group_vs`.

    It multiplies all logits of a sample by its Delta and subtracts its iota from all of them before the
    softmax. The common shift cancels: `la` and `la_tau` are cross-entropy, `vs` and `vs_tau` are `cdt`.

    Args:
        class_counts: training examples a class, (K,); not used.
        group_counts: training examples by label and group, (K, G); None: all are one group.
        mode: as in `group_vs`.
        gamma: exponent.
        tau: factor of the logarithms.
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
        group_counts = class_counts.unsqueeze(1) if group_counts is None else group_counts
        self.register_buffer("scales", group_scales(group_counts, mode, gamma))
        self.register_buffer("offsets", group_offsets(group_counts, mode, gamma, tau))

    def forward(self, logits: Tensor, targets: Tensor, group: Tensor | None = None) -> Tensor:
        """Map logits (N, K), labels (N,) and groups (N,) to one value a sample, (N,)."""
        cell = targets, torch.zeros_like(targets) if group is None else group
        return group_vs_official_loss(logits, targets, self.scales[cell], self.offsets[cell])


build = GroupVSOfficial
