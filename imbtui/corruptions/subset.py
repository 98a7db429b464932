"""Keep only some of the training examples."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from imbtui.engine.examples import Examples
from imbtui.errors import UserError
from imbtui.option_types import Count, Rate

TASKS = ("classification", "regression")


class Subset:
    """Keeps a choice of the training examples, in their order.

    Exactly one of `n`, `per_class` and `fraction` says how many.

    Args:
        n: that many in all.
        per_class: that many of each class.
        fraction: this share of them, rounded, at least one.
        pick: `shuffle`: drawn at random with `split_seed`; `first`: the first ones.
    """

    def __init__(
        self,
        *,
        n: Count | None = None,
        per_class: Count | None = None,
        fraction: Rate | None = None,
        pick: Literal["shuffle", "first"] = "shuffle",
    ) -> None:
        if sum(option is not None for option in (n, per_class, fraction)) != 1:
            raise UserError("give one of n, per_class and fraction", where="corruptions.subset")
        self.n = n
        self.per_class = per_class
        self.fraction = fraction
        self.pick = pick

    def __call__(self, examples: Examples, num_classes: int, *, split_seed: int, seed: int) -> Examples:
        """Return the kept examples.

        Raises:
            UserError: there are fewer examples, in all or of a class, than should be kept.
        """
        if self.per_class is not None and not num_classes:
            raise UserError(
                "the data set has no classes", where="corruptions.subset.per_class", hint="Use n."
            )
        rng = np.random.RandomState(split_seed)
        if self.per_class is None:
            kept = self._from_all(len(examples), rng)
        else:
            kept = np.concatenate(
                [self._from_class(examples.targets, label, rng) for label in range(num_classes)]
            )
        return examples.take(np.sort(kept))

    def _from_all(self, available: int, rng: np.random.RandomState) -> NDArray:
        wanted = max(1, round((self.fraction or 0.0) * available)) if self.n is None else self.n
        if wanted > available:
            raise UserError(
                f"{wanted} training examples are asked for and {available} are there",
                where="corruptions.subset.n",
            )
        return self._ordered(np.arange(available), rng)[:wanted]

    def _from_class(self, targets: NDArray, label: int, rng: np.random.RandomState) -> NDArray:
        positions = np.flatnonzero(targets == label)
        if self.per_class is not None and self.per_class > len(positions):
            raise UserError(
                f"class {label} has {len(positions)} training examples and {self.per_class} are asked for",
                where="corruptions.subset.per_class",
            )
        return self._ordered(positions, rng)[: self.per_class]

    def _ordered(self, positions: NDArray, rng: np.random.RandomState) -> NDArray:
        return positions if self.pick == "first" else rng.permutation(positions)


build = Subset
