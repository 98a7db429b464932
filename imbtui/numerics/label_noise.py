"""Label noise as a matrix T of shape (K, K): T[i, j] is the probability that clean label i becomes j."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MNIST_PAIRS = ((7, 1), (2, 7), (5, 6), (6, 5), (3, 8))
"""Digits that are confused (patrini2017 §3)."""

CIFAR10_PAIRS = ((9, 1), (2, 0), (3, 5), (5, 3), (4, 7))
"""truck to automobile, bird to airplane, cat and dog, deer to horse (patrini2017 §3)."""


def symmetric_noise(num_classes: int, rate: float) -> NDArray[np.float64]:
    """Return T with 1 - rate on the diagonal and rate / (K - 1) elsewhere (patrini2017 §3).

    The true class is excluded from the flips: `rate` is the expected share of changed labels.
    """
    matrix = np.full((num_classes, num_classes), rate / max(1, num_classes - 1))
    np.fill_diagonal(matrix, 1 - rate if num_classes > 1 else 1.0)
    return matrix


def uniform_noise(num_classes: int, rate: float) -> NDArray[np.float64]:
    """Return T for redrawing a share `rate` of the labels from all K classes (zhang2017 §2, `partial`).

    The true class may come out again: the expected share of changed labels is rate * (1 - 1 / K).
    """
    return (1 - rate) * np.eye(num_classes) + rate / num_classes


def pair_noise(num_classes: int, rate: float, pairs: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """Return T that sends each `(source, target)` class with probability `rate` (patrini2017 §3).

    Classes that are the source of no pair stay clean.

    Raises:
        ValueError: a class is not in 0 .. K - 1, is its own target, or is the source of two pairs.
    """
    matrix = np.eye(num_classes)
    seen = set()
    for pair in pairs:
        if len(pair) != 2:
            raise ValueError(f"{list(pair)} is not a pair [from, to]")
        source, target = pair
        if not (0 <= source < num_classes and 0 <= target < num_classes):
            raise ValueError(f"{list(pair)} names a class outside 0 to {num_classes - 1}")
        if source == target:
            raise ValueError(f"{list(pair)} sends a class to itself")
        if source in seen:
            raise ValueError(f"class {source} is sent to two classes")
        seen.add(source)
        matrix[source, source] = 1 - rate
        matrix[source, target] = rate
    return matrix


def circular_pairs(num_classes: int) -> tuple[tuple[int, int], ...]:
    """Return pairs that send every class to the next one and the last to the first."""
    return tuple((i, (i + 1) % num_classes) for i in range(num_classes)) if num_classes > 1 else ()


def superclass_pairs(superclasses: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Return pairs that send each class to the next one of its super-class, the last to the first.

    patrini2017 §3, §7.1: a flip stays within the super-class. Classes that are alone in theirs stay clean.

    Args:
        superclasses: super-class of each class; a negative one is unknown, and its class stays clean.
    """
    pairs = []
    for superclass in sorted(set(superclasses)):
        members = [label for label, other in enumerate(superclasses) if other == superclass]
        if superclass >= 0 and len(members) > 1:
            pairs += list(zip(members, members[1:] + members[:1], strict=True))
    return tuple(sorted(pairs))


def legacy_block_pairs(num_classes: int, size: int = 5) -> tuple[tuple[int, int], ...]:
    """Return pairs that are circular within classes 0-4, 5-9 and so on (patrini2017 §7.1).

    The released code takes these blocks for the super-classes of CIFAR-100, whose labels are in
    alphabetical order: they are not.

    Raises:
        ValueError: the classes do not fill whole blocks.
    """
    if num_classes % size:
        raise ValueError(f"{num_classes} classes are no whole number of blocks of {size}")
    return superclass_pairs([label // size for label in range(num_classes)])


def binary_noise(rate: float, other: float = 0.05) -> NDArray[np.float64]:
    """Return T that makes 1 a 0 with probability `rate`, and 0 a 1 with `other` (patrini2017 §3).

    Raises:
        ValueError: `rate` is 0.5 or more.
    """
    if rate >= 0.5:
        raise ValueError(f"a rate of {rate:g} makes label 1 wrong as often as right; it must be below half")
    return np.array([[1 - other, other], [rate, 1 - rate]])


def offset_labels(
    labels: NDArray[np.int64],
    u: NDArray[np.float64],
    offsets: NDArray[np.int64],
    rate: float,
    num_classes: int,
) -> NDArray[np.int64]:
    """Return (y_i + o_i) mod K where u_i < rate, and y_i elsewhere (nakkiran2019 §3).

    With the same u and o the labels that are wrong at a lower rate are among those of a higher one.

    Args:
        labels: clean labels y (N,).
        u: uniform on [0, 1), (N,).
        offsets: o (N,), uniform on 1 .. K - 1 for wrong classes only, on 0 .. K - 1 for any class.
        rate: probability of a flip.
        num_classes: K.
    """
    return np.where(u < rate, (labels + offsets) % num_classes, labels)


def draw_noisy_labels(
    labels: NDArray[np.int64], matrix: NDArray[np.float64], rng: np.random.RandomState
) -> NDArray[np.int64]:
    """Return a label drawn for each example from its clean label's row of `matrix`, independently.

    Args:
        labels: clean labels (N,).
        matrix: row-stochastic, (K, K).
        rng: one uniform number is drawn an example, in order.
    """
    draws = rng.random_sample(len(labels))
    cumulative = np.cumsum(matrix, axis=1)
    cumulative /= cumulative[:, -1:]  # the last step is exactly 1: no draw falls behind it
    noisy = labels.copy()
    for label, steps in enumerate(cumulative):
        mine = labels == label
        noisy[mine] = np.searchsorted(steps, draws[mine], side="right")
    return noisy
