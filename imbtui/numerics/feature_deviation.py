"""How far the features of a class differ between training and test (ye2020)."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def class_means(features: Tensor, targets: Tensor, num_classes: int) -> Tensor:
    """Return the mean feature of each class, (K, D); NaN for a class without examples."""
    is_class = torch.nn.functional.one_hot(targets, num_classes).to(features.dtype)
    return (is_class.T @ features) / is_class.sum(0).unsqueeze(1)


def feature_deviation(
    train: Tensor, train_targets: Tensor, test: Tensor, test_targets: Tensor, num_classes: int
) -> Tensor:
    """Return the distance between the mean training and test feature of each class, (K,) (ye2020 §6).

    It is divided by the mean norm of all training features, so that runs can be compared. A class with
    few training examples looks deviant because its mean is noisy: see `controlled_deviation`.

    Args:
        train: training features, (N, D).
        train_targets: (N,) int64.
        test: test features, (M, D).
        test_targets: (M,) int64.
        num_classes: K.
    """
    distance = class_means(train, train_targets, num_classes) - class_means(test, test_targets, num_classes)
    return distance.norm(dim=1) / train.norm(dim=1).mean()


def controlled_deviation(
    train: Tensor,
    train_targets: Tensor,
    test: Tensor,
    test_targets: Tensor,
    num_classes: int,
    *,
    size: int,
    repeats: int,
    generator: torch.Generator,
) -> Tensor:
    """Return the deviation with equally many training features of every class, (K,) (ye2020 §6).

    dev_m(c) = (1/R) sum_r || mean(F_r) - mean(F_test,c) ||, F_r a random subset of m training features of
    the class; divided like `feature_deviation`. NaN for a class with fewer than m.

    Args:
        size: m.
        repeats: R.
        generator: draws the subsets; on the features' device.
        The others are as in `feature_deviation`.
    """
    centers = class_means(test, test_targets, num_classes)
    values = train.new_full((num_classes,), math.nan)
    for label in range(num_classes):
        own = train[train_targets == label]
        if len(own) < size:
            continue
        order = torch.rand(repeats, len(own), generator=generator, device=own.device).argsort(1)
        subsets = own[order[:, :size]].mean(1)
        values[label] = (subsets - centers[label]).norm(dim=1).mean()
    return values / train.norm(dim=1).mean()


def spearman(a: Tensor, b: Tensor) -> float:
    """Return Spearman's rank correlation of two vectors over the places where both are numbers (ye2020 §6).

    NaN with fewer than two such places, or when one of them is constant.
    """
    from scipy.stats import rankdata

    both = ~(a.isnan() | b.isnan())
    if int(both.sum()) < 2:
        return math.nan
    ranks = torch.from_numpy(rankdata(torch.stack([a[both].double(), b[both].double()]).cpu(), axis=1))
    centered = ranks - ranks.mean(1, keepdim=True)
    norms = centered.norm(dim=1)
    return float(centered[0] @ centered[1] / (norms[0] * norms[1])) if bool((norms > 0).all()) else math.nan
