"""Logits scaled and shifted by class: temperatures, logit adjustment and the vector-scaling loss."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from imbtui.errors import UserError

GroupMode = Literal["cdt", "la", "vs", "la_tau", "vs_tau"]


def cdt_temperatures(class_counts: Tensor, gamma: float) -> Tensor:
    """Return a_c = (n_max / n_c)^gamma in float64, (K,): 1 for the largest class (ye2020 §2.1)."""
    counts = class_counts.double()
    return (counts.max() / counts) ** gamma


def vs_scales(class_counts: Tensor, gamma: float) -> Tensor:
    """Return Delta_c = (n_c / n_max)^gamma in float64, (K,): 1 for the largest class (kini2021 §2.1)."""
    counts = class_counts.double()
    return (counts / counts.max()) ** gamma


def vs_offsets(class_counts: Tensor, tau: float) -> Tensor:
    """Return iota_c = tau ln(n_c / n) in float64, (K,) (kini2021 §2.1)."""
    counts = class_counts.double()
    return tau * (counts / counts.sum()).log()


def vs_loss(logits: Tensor, targets: Tensor, scales: Tensor, offsets: Tensor) -> Tensor:
    """Return the cross-entropy of u_c = Delta_c z_c + iota_c, one value a sample, (N,) (kini2021 §2.1).

    Every class is scaled and shifted, not the target alone.

    Args:
        logits: z, (N, K).
        targets: (N,) int64.
        scales: Delta, (K,).
        offsets: iota, (K,).
    """
    adjusted = logits * scales.to(logits.dtype) + offsets.to(logits.dtype)
    return F.cross_entropy(adjusted, targets, reduction="none")


def binary_vs_loss(scores: Tensor, signs: Tensor, scales: Tensor, offsets: Tensor) -> Tensor:
    """Return l = ln(1 + exp(iota - Delta y f)), one value a sample, (N,) (kini2021 §2.2, §2.3).

    It is no two-logit cross-entropy: the label's Delta scales the score, where the multiclass form scales
    each column by its own.

    Args:
        scores: f, (N,).
        signs: y, (N,), -1 or 1.
        scales: Delta of each sample's label (and group), (N,).
        offsets: iota of each sample's label (and group), (N,).
    """
    # As a logarithm of the sigmoid it keeps its gradient where exp() is 1e-200; softplus does not.
    return -F.logsigmoid(scales.to(scores.dtype) * signs * scores - offsets.to(scores.dtype))


def group_scales(group_counts: Tensor, mode: GroupMode, gamma: float) -> Tensor:
    """Return Delta_{y,g} = (n_{y,g} / n_max)^gamma in float64, (K, G); ones where the mode has none.

    kini2021 §2.3. A cell without examples, which the formula does not cover, is given the value of the
    rarest cell that has some.

    Args:
        group_counts: training examples by label and group, (K, G).
        mode: `cdt`, `vs` and `vs_tau` scale.
        gamma: exponent.
    """
    counts = _filled(group_counts)
    return (counts / counts.max()) ** (gamma if mode in ("cdt", "vs", "vs_tau") else 0.0)


def group_offsets(group_counts: Tensor, mode: GroupMode, gamma: float, tau: float) -> Tensor:
    """Return iota_{y,g} in float64, (K, G); larger for rarer cells (kini2021 §2.3).

    `la`, `vs`: (n_{y,g} / n_max)^-gamma; `la_tau`, `vs_tau`: -tau ln(n_{y,g} / n); `cdt`: 0. Cells
    without examples are given the value of the rarest that has some.

    Args:
        group_counts: training examples by label and group, (K, G).
        mode: one of the five.
        gamma: exponent of `la` and `vs`.
        tau: factor of `la_tau` and `vs_tau`.
    """
    counts = _filled(group_counts)
    if mode == "cdt":
        return torch.zeros_like(counts)
    if mode in ("la", "vs"):
        return (counts / counts.max()) ** -gamma
    return -tau * (counts / group_counts.sum()).log()


def group_vs_official_loss(logits: Tensor, targets: Tensor, scales: Tensor, offsets: Tensor) -> Tensor:
    """Return the cross-entropy of Delta z - iota, the same Delta and iota for all logits of a sample, (N,).

    What the paper's released code computes for groups (kini2021 §2.3): the shift is common to all
    classes and cancels in the softmax, so that iota has no effect.

    Args:
        logits: z, (N, K).
        targets: (N,) int64.
        scales: Delta of each sample's label and group, (N,).
        offsets: iota of each sample's label and group, (N,).
    """
    adjusted = logits * scales.to(logits.dtype).unsqueeze(1) - offsets.to(logits.dtype).unsqueeze(1)
    return F.cross_entropy(adjusted, targets, reduction="none")


def tau_normalised(logits: Tensor, class_norms: Tensor, tau: float) -> Tensor:
    """Return z_c / ||w_c||^tau, (N, K): rebalances a trained classifier afterwards (ye2020 §2.3).

    Args:
        logits: z, (N, K).
        class_norms: norm of the head's weights of each class, (K,).
        tau: 0 (nothing changes) to 1 (all classes weigh alike).
    """
    return logits / class_norms.to(logits.dtype) ** tau


def require_examples(class_counts: Tensor, loss: str) -> None:
    """Refuse classes without training examples, whose temperature or prior is infinite (ye2020 §8.5).

    Raises:
        UserError: a class is empty.
    """
    empty = (class_counts <= 0).nonzero().ravel().tolist()
    if empty:
        raise UserError(
            f'loss "{loss}" needs examples of every class, and class {empty[0]} has none', where="loss.name"
        )


def require_two_classes(class_counts: Tensor, loss: str) -> None:
    """Refuse anything but two classes.

    Raises:
        UserError: there are more, or fewer.
    """
    if len(class_counts) != 2:
        raise UserError(
            f'loss "{loss}" is for two classes and the data set has {len(class_counts)}', where="loss.name"
        )


def _filled(group_counts: Tensor) -> Tensor:
    """Return counts in float64, with those of empty cells set to that of the rarest other cell."""
    counts = group_counts.double()
    rarest = counts[counts > 0].min() if bool((counts > 0).any()) else counts.new_ones(())
    return counts.clamp_min(rarest)
