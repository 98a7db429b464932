"""Covariate shift in one dimension: a noisy sinc curve, seen at other inputs than it is tested at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imbtui.engine.examples import DataSplits, Examples
from imbtui.option_types import Count, NonNegative

TASK = "regression"
FILES: tuple[tuple[str, ...], ...] = ()
TRAIN = (1.0, 0.5)
TEST = (2.0, 0.25)
"""Mean and standard deviation of the inputs (lu2021 §4)."""


class ToySinc:
    """y = sin(pi x) / (pi x) + noise; x ~ N(1, 0.5^2) for training, N(2, 0.25^2) for tests (lu2021 §4).

    Inputs (N, 1) and targets are float64; test targets carry no noise. Methods that estimate the shift find
    unlabelled test inputs as the examples `shifted`, and those that are given it p_test(x) / p_train(x) of
    each training input as the targets of the examples `ratio`.

    Args:
        n_train: training examples.
        n_shifted: unlabelled test inputs, others than those that are tested on.
        n_test: test examples.
        noise: standard deviation of the noise in training targets.
    """

    def __init__(
        self,
        *,
        n_train: Count = 150,
        n_shifted: Count = 150,
        n_test: Count = 10000,
        noise: NonNegative = 0.25,
    ) -> None:
        self.n_train = n_train
        self.n_shifted = n_shifted
        self.n_test = n_test
        self.noise = noise

    def load(self, root: Path, *, split_seed: int) -> DataSplits:
        """Draw training inputs, their noise, then test inputs; the data root is not used."""
        rng = np.random.default_rng(split_seed)
        x = rng.normal(*TRAIN, self.n_train)
        y = np.sinc(x) + rng.normal(0, self.noise, self.n_train)
        x_test = rng.normal(*TEST, self.n_test)
        x_shifted = rng.normal(*TEST, self.n_shifted)
        ratio = normal_density(x, *TEST) / normal_density(x, *TRAIN)
        return DataSplits(
            train=Examples.of(x[:, None], y),
            test=Examples.of(x_test[:, None], np.sinc(x_test)),
            num_classes=0,
            class_names=(),
            extra={
                "shifted": Examples.of(x_shifted[:, None], np.full(self.n_shifted, np.nan)),
                "ratio": Examples.of(x[:, None], ratio),
            },
        )


def normal_density(x: NDArray[np.float64], mean: float, deviation: float) -> NDArray[np.float64]:
    """Return the density of N(mean, deviation^2) at x (lu2021 §4)."""
    z = (x - mean) / deviation
    return np.exp(-(z**2) / 2) / (deviation * np.sqrt(2 * np.pi))


build = ToySinc
