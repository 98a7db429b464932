"""How far apart the classes lie in a layer, by cosine distance (kornblith2021)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def direction_sums(features: Tensor, targets: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """Return each class's sum of L2-normalised features, (K, D), and its examples, (K,), both float64.

    The sums of parts of the data add up to those of all of it; `class_separation` needs nothing else. A
    feature of length zero has no direction and adds nothing to the sum.

    Args:
        features: (N, D), not centred.
        targets: (N,) int64.
        num_classes: K.
    """
    directions = F.normalize(features.double(), dim=1)
    member = F.one_hot(targets, num_classes).double()  # a product adds in a fixed order, unlike a scatter
    return member.T @ directions, member.sum(0)


def mean_distances(sums: Tensor, counts: Tensor) -> tuple[float, float]:
    """Return the mean cosine distances within classes and in all, pairs of an example with itself included.

    With mu_k the mean direction of class k: 1 - (1/K) sum_k ||mu_k||^2 and 1 - ||(1/K) sum_k mu_k||^2, which
    equals the sums over pairs with every class weighing the same (kornblith2021 §5). Classes without examples
    are left out; without any left, both are NaN.

    Args:
        sums: sum of the normalised features of each class, (K, D).
        counts: its examples, (K,).
    """
    present = counts > 0
    if not bool(present.any()):
        return math.nan, math.nan
    means = sums[present] / counts[present].unsqueeze(1)
    within = 1 - means.square().sum(1).mean()
    total = 1 - means.mean(0).square().sum()
    return float(within), float(total)


def class_separation(sums: Tensor, counts: Tensor) -> float:
    """Return R^2 = 1 - d_within / d_total, from the sums of `direction_sums` (kornblith2021 §5).

    NaN with fewer than two classes, or where all directions are the same.
    """
    within, total = mean_distances(sums, counts)
    # Directions that are equal but for rounding are equal.
    if int((counts > 0).sum()) < 2 or total <= 4 * torch.finfo(torch.float64).eps:
        return math.nan
    return 1 - within / total
