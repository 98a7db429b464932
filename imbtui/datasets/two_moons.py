"""Two interleaved half circles in the plane, and a cluster of points far from both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imbtui.engine.examples import DataSplits, Examples
from imbtui.option_types import Count, NonNegative

NUM_CLASSES = 2
FILES: tuple[tuple[str, ...], ...] = ()
SHIFTS = np.array([(-0.1, 0.2), (0.1, -0.2)])
"""Added to the moon of class 0 and of class 1, which sets them further apart."""
OOD_MEAN, OOD_VARIANCE = (2.5, -1.75), 0.01
BOX = ((-3.5, 3.5), (-2.5, 2.5))
"""Range of the grid in x and y."""


class TwoMoons:
    """scikit-learn's `make_moons`, each moon shifted away from the other (liu2020, data); (N, 2) float32.

    Probes find the points of a distant cluster, N((2.5, -1.75), 0.01 I), as the examples `ood`, and points of
    a grid over [-3.5, 3.5] x [-2.5, 2.5] as `grid`. Both carry the label 0, which means nothing.

    Args:
        n_train: training points, half of each class.
        n_test: test points, drawn anew.
        noise: standard deviation of the noise around the half circles.
        n_ood: points of the cluster.
        grid: points of the grid in each direction.
    """

    def __init__(
        self,
        *,
        n_train: Count = 1000,
        n_test: Count = 1000,
        noise: NonNegative = 0.1,
        n_ood: Count = 500,
        grid: Count = 50,
    ) -> None:
        self.n_train = n_train
        self.n_test = n_test
        self.noise = noise
        self.n_ood = n_ood
        self.grid = grid

    def load(self, root: Path, *, split_seed: int) -> DataSplits:
        """Draw training points, test points, then the cluster; the data root is not used."""
        rng = np.random.RandomState(split_seed)
        train, test = (self._moons(n, rng) for n in (self.n_train, self.n_test))
        ood = np.array(OOD_MEAN) + np.sqrt(OOD_VARIANCE) * rng.randn(self.n_ood, 2)
        x, y = np.meshgrid(*(np.linspace(*ends, self.grid) for ends in BOX))
        return DataSplits(
            train=train,
            test=test,
            num_classes=NUM_CLASSES,
            class_names=("upper moon", "lower moon"),
            extra={
                "ood": _unlabelled(ood),
                "grid": _unlabelled(np.stack([x.ravel(), y.ravel()], axis=1)),
            },
        )

    def _moons(self, count: int, rng: np.random.RandomState) -> Examples:
        """Return points of both moons, shuffled."""
        from sklearn.datasets import make_moons

        x, y = make_moons(count, noise=self.noise, random_state=rng)
        return Examples.of((x + SHIFTS[y]).astype(np.float32), y)


def _unlabelled(x: NDArray[np.float64]) -> Examples:
    return Examples.of(x.astype(np.float32), np.zeros(len(x), dtype=np.int64))


build = TwoMoons
