"""Thin the classes out to a long tail or a step of class sizes."""

from __future__ import annotations

from typing import Literal

import numpy as np

from imbtui.engine.examples import Examples
from imbtui.errors import UserError
from imbtui.option_types import Count, Ratio


class LongTail:
    """Keeps `long_tail_counts` examples of each class; kept examples are stored class by class.

    Class 0 is the head. Classes are told apart by the labels the examples carry at this point, so in a
    recipe put it before `label_noise` unless noisy labels are to be counted.

    Args:
        profile: `exp`: sizes fall exponentially; `step`: one half of the classes is large, one small.
        ratio: largest class size over the smallest.
        n_max: size of the largest class; left out: number of examples / number of classes, or what the
            classes can give if that is less.
        pick: `first`: the first examples of each class, in the order they are stored. `shuffle`: drawn
            with `split_seed` as the paper's code draws them, so that 0 gives the paper's subset
            (cao2019 §3).
    """

    def __init__(
        self,
        *,
        profile: Literal["exp", "step"] = "exp",
        ratio: Ratio = 100.0,
        n_max: Count | None = None,
        pick: Literal["first", "shuffle"] = "first",
    ) -> None:
        self.profile: Literal["exp", "step"] = profile
        self.ratio = ratio
        self.n_max = n_max
        self.pick = pick

    def __call__(self, examples: Examples, num_classes: int, *, split_seed: int, seed: int) -> Examples:
        """Return the kept examples.

        Raises:
            UserError: a class has fewer examples than it should keep, or would keep none.
        """
        counts = self._counts(examples.class_counts(num_classes).tolist())
        rng = np.random.RandomState(split_seed)
        kept = []
        for label, count in enumerate(counts):
            positions = np.flatnonzero(examples.targets == label)
            if self.pick == "shuffle":
                rng.shuffle(positions)
            kept.append(positions[:count])
        return examples.take(np.concatenate(kept))

    def _counts(self, available: list[int]) -> list[int]:
        """Return how many examples of each class to keep, of those available."""
        classes = len(available)
        wanted = sum(available) // classes
        if self.n_max is None:
            options = (long_tail_counts(n, classes, self.ratio, self.profile) for n in range(wanted, 0, -1))
            counts = next((c for c in options if _fits(c, available)), [0] * classes)
        else:
            counts = long_tail_counts(self.n_max, classes, self.ratio, self.profile)
        for label, (count, has) in enumerate(zip(counts, available, strict=True)):
            if count > has:
                raise UserError(
                    f"class {label} should keep {count} training examples but has {has}",
                    where="corruptions.long_tail",
                    hint="Choose a smaller n_max.",
                )
            if count < 1:
                raise UserError(
                    f"at ratio {self.ratio:g} class {label} would keep no training example",
                    where="corruptions.long_tail",
                    hint="Choose a smaller ratio or a larger n_max.",
                )
        return counts


def long_tail_counts(
    n_max: int, num_classes: int, ratio: float, profile: Literal["exp", "step"] = "exp"
) -> list[int]:
    """Return the class sizes of a long-tailed or step-imbalanced training set (cao2019 §3).

    With mu = 1 / ratio and classes i = 0 .. K - 1:
    `exp`: n_i = int(n_max * mu^(i / (K - 1))); `step`: the first half n_max, the others int(n_max * mu).
    Both truncate, in exactly this order of operations (cao2019 §8.9). Of an odd number of classes the
    middle one is large (the paper does not say).

    Args:
        n_max: size of the largest class.
        num_classes: K.
        ratio: n_max over the size of the smallest class, at least 1.
        profile: one of the two.
    """
    mu = 1 / ratio
    if profile == "step":
        large = (num_classes + 1) // 2
        return [int(n_max)] * large + [int(n_max * mu)] * (num_classes - large)
    last = max(1.0, num_classes - 1.0)
    return [int(n_max * mu ** (i / last)) for i in range(num_classes)]


def _fits(counts: list[int], available: list[int]) -> bool:
    return all(count <= has for count, has in zip(counts, available, strict=True))


build = LongTail
