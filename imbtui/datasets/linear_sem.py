"""A linear structural equation model: many points of several source domains, a few of a target domain."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imbtui.engine.examples import DataSplits, Examples
from imbtui.errors import UserError
from imbtui.option_types import Count

TASK = "regression"
FILES: tuple[tuple[str, ...], ...] = ()
Array = NDArray[np.float64]


class LinearSem:
    """z = A s with independent sources s whose densities differ between domains, A does not (lu2021 §8C).

    A is unit lower triangular, its entries below the diagonal are +-U(0.5, 1.5). Sources of the source
    domains are Laplace or uniform with scales from U(0.5, 2), and every such domain is centred. Those of
    the target are exponential or Laplace, with scales from U(0.5, 2) and shifts from U(-2, 2). The
    last coordinate of z is the target of regression, the others are its inputs, all float64.

    Training and test examples are of the target domain. The points of the source domains are the examples
    `sources`; their groups are the domains.

    Args:
        dimension: coordinates of z, at least 2.
        domains: source domains.
        n_per_domain: points of each.
        n_target: training points of the target domain.
        n_test: test points of the target domain.
    """

    def __init__(
        self,
        *,
        dimension: Count = 3,
        domains: Count = 4,
        n_per_domain: Count = 2000,
        n_target: Count = 6,
        n_test: Count = 5000,
    ) -> None:
        if dimension < 2:
            raise UserError("there is nothing to regress on in one dimension", where="dataset.dimension")
        self.dimension = dimension
        self.domains = domains
        self.n_per_domain = n_per_domain
        self.n_target = n_target
        self.n_test = n_test

    def load(self, root: Path, *, split_seed: int) -> DataSplits:
        """Draw A, the source domains, then training and test points; the data root is not used."""
        rng = np.random.default_rng(split_seed)
        mixing = unit_lower_triangular(self.dimension, rng)
        domains = [
            self._points(mixing, self._densities(rng, ("laplace", "uniform")), self.n_per_domain, rng)
            for _ in range(self.domains)
        ]
        sources = np.concatenate([z - z.mean(0) for z in domains])
        densities = self._densities(rng, ("exponential", "laplace"))
        shift = mixing @ rng.uniform(-2, 2, self.dimension)
        train, test = (self._points(mixing, densities, n, rng) + shift for n in (self.n_target, self.n_test))
        return DataSplits(
            train=Examples.of(train[:, :-1], train[:, -1]),
            test=Examples.of(test[:, :-1], test[:, -1]),
            num_classes=0,
            class_names=(),
            extra={
                "sources": Examples.of(
                    sources[:, :-1],
                    sources[:, -1],
                    group=np.repeat(np.arange(self.domains), self.n_per_domain),
                )
            },
        )

    def _densities(self, rng: np.random.Generator, kinds: tuple[str, ...]) -> list[tuple[str, float]]:
        """Return a kind and a scale for every source."""
        return [(str(rng.choice(kinds)), rng.uniform(0.5, 2)) for _ in range(self.dimension)]

    def _points(
        self, mixing: Array, densities: list[tuple[str, float]], n: int, rng: np.random.Generator
    ) -> Array:
        draw = {
            "laplace": lambda scale: rng.laplace(0, scale, n),
            "uniform": lambda scale: rng.uniform(-scale, scale, n),
            "exponential": lambda scale: rng.exponential(scale, n),
        }
        return np.column_stack([draw[kind](scale) for kind, scale in densities]) @ mixing.T


def unit_lower_triangular(dimension: int, rng: np.random.Generator) -> Array:
    """Return a matrix with ones on the diagonal and +-U(0.5, 1.5) below it (lu2021 §8C)."""
    below = rng.uniform(0.5, 1.5, (dimension, dimension)) * rng.choice([-1, 1], (dimension, dimension))
    return np.tril(below, -1) + np.eye(dimension)


build = LinearSem
