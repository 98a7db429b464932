"""Permute the labels of some training examples among them; class counts stay."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imbtui.engine.examples import Examples
from imbtui.engine.seeding import seed_of
from imbtui.option_types import Rate


class LabelShuffle:
    """Random labels that no class gains or loses by (arpit2017 §8 A, permuted randY).

    The examples are `rate` of all, rounded, by a permutation of `seed`. Those whose label changes are marked
    as corrupted: of the chosen ones, all but about the sum of the squared class shares.

    Args:
        rate: share of the examples whose labels are permuted.
    """

    def __init__(self, *, rate: Rate = 1.0) -> None:
        self.rate = rate

    def __call__(self, examples: Examples, num_classes: int, *, split_seed: int, seed: int) -> Examples:
        """Return the examples with permuted labels."""
        rng = np.random.default_rng(seed_of(seed, "label_shuffle"))
        labels = permute_labels(examples.targets, self.rate, rng)
        matrix = shuffle_matrix(examples.class_counts(num_classes), self.rate)
        return examples.relabel(labels, labels != examples.targets, matrix)


def permute_labels(labels: NDArray[np.int64], rate: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return labels (N,) of which a share `rate`, chosen at random, are permuted (arpit2017 §8 A)."""
    chosen = rng.permutation(len(labels))[: round(rate * len(labels))]
    permuted = labels.copy()
    permuted[chosen] = labels[rng.permutation(chosen)]
    return permuted


def shuffle_matrix(class_counts: NDArray[np.int64], rate: float) -> NDArray[np.float64]:
    """Return the transition matrix (K, K): (1 - rate) I + rate 1 p^T with class shares p."""
    shares = class_counts / class_counts.sum()
    return (1 - rate) * np.eye(len(shares)) + rate * shares


build = LabelShuffle
