"""Picking one of several models for each test set, by a rule that must be named beside the result."""

from __future__ import annotations

import torch
from torch import Tensor


def picked(accuracy: Tensor, guide: Tensor) -> Tensor:
    """Return the accuracy on each set of the model that `guide` ranks first there, (S,).

    The rules of teney2022 §Model selection differ in the guide alone. `oracle`: the very accuracies, so
    that the result is the best of M on each set, which nobody can deploy. `one_model`: each model's mean
    over the sets. `in_distribution`: accuracies on data like the training data. `validation`: accuracies
    on labelled examples of the set that are not counted in `accuracy`.

    Args:
        accuracy: of each model on each set, (S, M).
        guide: what models are ranked by, on each set (S, M) or once for all (M,); of equals the first wins.
    """
    choice = guide.expand_as(accuracy).argmax(1, keepdim=True)
    return accuracy.gather(1, choice).squeeze(1)


def working(in_distribution: Tensor, at_least: float) -> Tensor:
    """Return which models are counted at all, (M,) bool (teney2022 §Gotchas).

    The best of M failed models is far above chance by chance alone. Where all have failed, all are counted.

    Args:
        in_distribution: accuracies on data like the training data, (M,).
        at_least: the lowest accuracy of a model that works.
    """
    counted = in_distribution >= at_least
    return counted if bool(counted.any()) else torch.ones_like(counted)
