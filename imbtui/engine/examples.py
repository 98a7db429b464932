"""Labelled examples as arrays: what data sets load and corruptions change, before any tensor exists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Examples:
    """N labelled examples.

    Attributes:
        x: images (N, H, W, C) as uint8 or as float32 in [0, 1]; or features (N, D) as float32; or file
            names (N,) of images that are read while training; or tokens (N, T) as int64.
        targets: labels to train on, (N,) int64; noisy ones after `label_noise`. In a regression task real
            numbers, (N,) floating point.
        clean_targets: labels before any noise, (N,), of the same type.
        is_corrupted: whether a corruption changed the example or its label, (N,) bool.
        index: position of the example in the data set's own order, (N,) int64.
        group: sub-population of each example, (N,) int64, or None where the data set has none.
        transition: row i holds the probabilities with which label noise turned the clean label i into each
            label, (K, K) float64; None: labels are clean.
        superclasses: super-class of each class, (K,) int64, or None where the data set has none.
    """

    x: NDArray
    targets: NDArray
    clean_targets: NDArray
    is_corrupted: NDArray[np.bool_]
    index: NDArray[np.int64]
    group: NDArray[np.int64] | None = None
    transition: NDArray[np.float64] | None = None
    superclasses: NDArray[np.int64] | None = None

    @classmethod
    def of(
        cls,
        x: NDArray,
        targets: NDArray,
        *,
        group: NDArray | None = None,
        superclasses: NDArray | None = None,
    ) -> Examples:
        """Return clean examples from inputs and labels, or from inputs and real-valued targets."""
        labels = np.asarray(targets)
        labels = labels if labels.dtype.kind == "f" else labels.astype(np.int64)
        return cls(
            x=x,
            targets=labels,
            clean_targets=labels.copy(),
            is_corrupted=np.zeros(len(labels), dtype=bool),
            index=np.arange(len(labels), dtype=np.int64),
            group=None if group is None else np.asarray(group, dtype=np.int64),
            superclasses=None if superclasses is None else np.asarray(superclasses, dtype=np.int64),
        )

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, positions: NDArray) -> Examples:
        """Return the examples at `positions`, in that order."""
        return replace(
            self,
            x=self.x[positions],
            targets=self.targets[positions],
            clean_targets=self.clean_targets[positions],
            is_corrupted=self.is_corrupted[positions],
            index=self.index[positions],
            group=None if self.group is None else self.group[positions],
        )

    def relabel(self, targets: NDArray, is_corrupted: NDArray, transition: NDArray[np.float64]) -> Examples:
        """Return the same examples with other labels; corruption marks add up, transitions multiply.

        Args:
            targets: the new labels, (N,).
            is_corrupted: which examples the relabelling corrupted, (N,) bool.
            transition: probability of each new label (column) given the one before (row), (K, K).
        """
        return replace(
            self,
            targets=np.asarray(targets, dtype=np.int64),
            is_corrupted=self.is_corrupted | is_corrupted,
            transition=transition if self.transition is None else self.transition @ transition,
        )

    def with_inputs(self, x: NDArray, is_corrupted: NDArray) -> Examples:
        """Return the same examples with other inputs; corruption marks add up."""
        return replace(self, x=x, is_corrupted=self.is_corrupted | is_corrupted)

    def joined(self, other: Examples) -> Examples:
        """Return these examples followed by others of the same kind."""
        both = {
            name: np.concatenate([getattr(self, name), getattr(other, name)])
            for name in ("x", "targets", "clean_targets", "is_corrupted", "index")
        }
        if self.group is not None and other.group is not None:
            both["group"] = np.concatenate([self.group, other.group])
        return replace(self, **both)

    def class_counts(self, num_classes: int) -> NDArray[np.int64]:
        """Return how many examples carry each label, (num_classes,); none in a regression task."""
        if not num_classes:
            return np.zeros(0, dtype=np.int64)
        return np.bincount(self.targets, minlength=num_classes)

    def label_counts(self, num_classes: int) -> NDArray[np.int64]:
        """Return how many examples of each clean label (rows) carry each label (columns), (K, K)."""
        if not num_classes:
            return np.zeros((0, 0), dtype=np.int64)
        cells = self.clean_targets * num_classes + self.targets
        return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)

    def group_counts(self, num_classes: int, num_groups: int) -> NDArray[np.int64]:
        """Return how many examples each label has in each group, (num_classes, num_groups).

        The examples must have groups.
        """
        assert self.group is not None
        cells = self.targets * num_groups + self.group
        return np.bincount(cells, minlength=num_classes * num_groups).reshape(num_classes, num_groups)


@dataclass(frozen=True)
class DataSplits:
    """What a data set gives: examples by split, and what is known of their classes and pixels.

    Attributes:
        train: training examples.
        test: test examples.
        val: validation examples that the data set's own protocol sets aside, or None.
        num_classes: number of classes; 0: the targets are real numbers (a data set says `TASK =
            "regression"` too, for checks that import nothing).
        class_names: one name a class, for tables.
        mean: channel means of images scaled to [0, 1], for `augmentation.normalise`; None: unknown.
        std: channel standard deviations, likewise.
        vocabulary: how many different tokens inputs are made of; 0: they are no tokens (a data set of tokens
            says `INPUTS = "tokens"` too, and so do the models that take them).
        extra: further examples by name that are neither trained nor evaluated on; probes look at them.
            Their labels need not be those of the task.
    """

    train: Examples
    test: Examples
    num_classes: int
    class_names: tuple[str, ...]
    val: Examples | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    vocabulary: int = 0
    extra: Mapping[str, Examples] = field(default_factory=dict)


class Corruption(Protocol):
    """Changes the training examples once, before training; its keyword arguments are its options.

    One that changes validation and test examples too has a method `held_out(examples, train, *, split,
    seed)`: it returns the changed examples of the split `split`, given the training examples that
    `__call__` was given.
    """

    def __call__(self, examples: Examples, num_classes: int, *, split_seed: int, seed: int) -> Examples:
        """Return the changed examples.

        Args:
            examples: the training examples so far; corruptions apply in recipe order.
            num_classes: number of classes of the data set.
            split_seed: seed for choosing which examples stay.
            seed: seed for noise.
        """
        ...
