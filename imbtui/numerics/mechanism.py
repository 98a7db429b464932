"""Causal mechanisms z = F(s): an invertible F that is shared by all domains, with independent sources s."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class LinearMechanism:
    """F(s) = A s + b by FastICA with unit variances on the pooled points of all domains (lu2021 §3.7, §8C).

    Attributes:
        converged: whether FastICA did; its result is kept in any case.
    """

    def __init__(self, *, seed: int, iterations: int = 1000) -> None:
        self.seed = seed
        self.iterations = iterations
        self.converged = False

    def fit(self, points: Array, domains: NDArray[np.int64]) -> LinearMechanism:
        """Estimate F from points (N, D); which domain each is from does not matter to a linear one."""
        from sklearn.decomposition import FastICA
        from sklearn.exceptions import ConvergenceWarning

        self._ica = FastICA(whiten="unit-variance", random_state=self.seed % 2**32, max_iter=self.iterations)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            self._ica.fit(points)
        self.converged = not any(issubclass(w.category, ConvergenceWarning) for w in caught)
        return self

    def inverse(self, z: Array) -> Array:
        """Return the sources (N, D) of points (N, D)."""
        return self._ica.transform(z)

    def forward(self, s: Array) -> Array:
        """Return the points (N, D) of sources (N, D)."""
        return self._ica.inverse_transform(s)


def coordinate_combinations(sources: Array, *, most: int, rng: np.random.Generator) -> Array:
    """Return all n^D points whose coordinates are each taken from one of n points (lu2021 §3.7).

    Args:
        sources: (n, D).
        most: where there are more, so many are drawn at random with replacement (lu2021 §6.8).
        rng: draws them.
    """
    n, dimension = sources.shape
    if n**dimension > most:
        chosen = rng.integers(n, size=(most, dimension))
    else:
        chosen = np.array(list(itertools.product(range(n), repeat=dimension)))
    return sources[chosen, np.arange(dimension)]


def inside_support(points: Array, candidates: Array) -> NDArray[np.bool_]:
    """Return which candidates (M, D) are finite and inside the support of the points (N, D), (M,).

    The support is that of a one-class SVM with nu = 0.1 and gamma "auto" (lu2021 §3.7).
    """
    from sklearn.svm import OneClassSVM

    kept: NDArray[np.bool_] = np.asarray(np.isfinite(candidates).all(axis=1))
    if kept.any():
        support = OneClassSVM(nu=0.1, gamma="auto").fit(points)
        kept[kept] = support.predict(candidates[kept]) > 0
    return kept
