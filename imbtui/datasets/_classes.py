"""Tasks made of some of a data set's classes, with probe examples from outside the task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from imbtui.engine.examples import Examples
from imbtui.errors import UserError


def check_classes(classes: Sequence[int], available: int) -> None:
    """Make sure that `classes` are two or more different ones of `available`.

    Raises:
        UserError: they are not.
    """
    if len(set(classes)) != len(classes) or len(classes) < 2 or max(classes) >= available:
        raise UserError(
            f"{list(classes)} are not two or more different classes from 0 to {available - 1}",
            where="dataset.classes",
        )


def only(examples: Examples, classes: Sequence[int]) -> Examples:
    """Return the examples of the given classes, in their order; labels are positions in `classes`."""
    own = examples.take(np.flatnonzero(np.isin(examples.targets, classes)))
    place = {label: number for number, label in enumerate(classes)}
    labels = np.array([place[label] for label in own.targets.tolist()], dtype=np.int64)
    return replace(own, targets=labels, clean_targets=labels.copy())


def outside(examples: Examples, classes: Sequence[int]) -> Examples:
    """Return the examples of all other classes, with their own labels."""
    return examples.take(np.flatnonzero(~np.isin(examples.targets, classes)))


def noise_images(count: int, shape: Sequence[int], rng: np.random.RandomState) -> Examples:
    """Return images of uniformly random pixels in [0, 1], (count, *shape) float32 (byrd2019 §3)."""
    pixels: NDArray[np.float32] = rng.rand(count, *shape).astype(np.float32)
    return Examples.of(pixels, np.zeros(count, np.int64))
