"""Two classes of Gaussian points, with or without groups: a linear classifier's test error is exact."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from imbtui.engine.examples import DataSplits, Examples
from imbtui.errors import UserError
from imbtui.option_types import Count

NUM_CLASSES = 2
FILES: tuple[tuple[str, ...], ...] = ()
WHERE = "dataset"
DEFAULTS: dict[str, tuple[list[int], list[float], int]] = {
    "classes": ([10, 90], [4.0, -4.0], 300),
    "groups": ([80, 80, 8, 8], [2.5, 3.0], 400),
}
"""Counts, shifts and dimension of the two forms."""


class GaussianMixture:
    """x ~ N(mu, I) with a mean mu for each component (kini2021 §10, §11); features (N, dimension) float32.

    `form = "classes"`: two components. Label 1 has mu = shifts[0] e_1, label 0 has mu = shifts[1] e_2.

    `form = "groups"`: four, (y, g) = (+,+), (-,-), (+,-), (-,+), with mu = shifts[0] y e_1 + shifts[1] g e_2.
    Label 1 is y = +; group 2 * label + (g = +), so that a group's number tells its label too.

    With a dimension above the number of examples a linear function separates the classes. The means
    themselves are the examples `means`, for the probe `gaussian_errors`.

    Args:
        form: one of the two.
        counts: training examples of each component, in the order above; left out: 10 and 90, or 80, 80,
            8 and 8.
        shifts: left out: [4, -4], or [2.5, 3].
        dimension: of the inputs, at least 2; left out: 300, or 400.
        test_per_component: test examples of each component.
    """

    def __init__(
        self,
        *,
        form: Literal["classes", "groups"] = "classes",
        counts: list[Count] | None = None,
        shifts: list[float] | None = None,
        dimension: Count | None = None,
        test_per_component: Count = 250,
    ) -> None:
        usual = DEFAULTS[form]
        self.groups = form == "groups"
        self.counts = usual[0] if counts is None else counts
        self.shifts = usual[1] if shifts is None else shifts
        self.dimension = usual[2] if dimension is None else dimension
        self.test_per_component = test_per_component
        for option, given, needed in (("counts", self.counts, len(usual[0])), ("shifts", self.shifts, 2)):
            if len(given) != needed:
                raise UserError(
                    f'form "{form}" has {needed} {option} and {len(given)} are given',
                    where=f"{WHERE}.{option}",
                )
        if self.dimension < 2:
            raise UserError("the means need two dimensions", where=f"{WHERE}.dimension")

    def load(self, root: Path, *, split_seed: int) -> DataSplits:
        """Draw training examples, component by component, then test examples; the data root is not used."""
        rng = np.random.RandomState(split_seed)
        means, labels, groups = self.components()
        sizes = [self.test_per_component] * len(means)
        return DataSplits(
            train=self._drawn(rng, means, labels, groups, self.counts),
            test=self._drawn(rng, means, labels, groups, sizes),
            num_classes=NUM_CLASSES,
            class_names=("negative", "positive"),
            extra={"means": Examples.of(means.astype(np.float32), labels, group=groups)},
        )

    def components(self) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64] | None]:
        """Return the mean (C, dimension), label (C,) and group (C,) of each component."""
        first, second = self.shifts
        if not self.groups:
            means = np.zeros((2, self.dimension))
            means[0, 0], means[1, 1] = first, second
            return means, np.array([1, 0]), None
        y, g = np.array([1, -1, 1, -1]), np.array([1, -1, -1, 1])
        means = np.zeros((4, self.dimension))
        means[:, 0], means[:, 1] = first * y, second * g
        labels = (y > 0).astype(np.int64)
        return means, labels, 2 * labels + (g > 0)

    def _drawn(
        self,
        rng: np.random.RandomState,
        means: NDArray[np.float64],
        labels: NDArray[np.int64],
        groups: NDArray[np.int64] | None,
        counts: list[int],
    ) -> Examples:
        of = np.repeat(np.arange(len(means)), counts)
        x = rng.randn(len(of), self.dimension) + means[of]
        return Examples.of(x.astype(np.float32), labels[of], group=None if groups is None else groups[of])


build = GaussianMixture
