"""Principal components, scaled so that each has variance 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Whitening:
    """Maps inputs to their whitened principal components (teney2022 §QUICK STUDY).

    Attributes:
        mean: of the examples it was fitted to, (D,) float64.
        directions: principal directions, rows of unit length, (k, D) float64; of their largest entry the
            sign is positive.
        scale: standard deviation along each, s / sqrt(n - 1), (k,) float64.
    """

    mean: NDArray[np.float64]
    directions: NDArray[np.float64]
    scale: NDArray[np.float64]

    def __call__(self, x: NDArray) -> NDArray[np.float32]:
        """Map inputs (N, ...) to features (N, k)."""
        flat = x.reshape(len(x), -1).astype(np.float64)
        return ((flat - self.mean) @ self.directions.T / self.scale).astype(np.float32)


def fit_whitening(x: NDArray, components: int) -> Whitening:
    """Return the whitening of examples (N, ...) to their first principal components.

    Args:
        x: at least `components` + 1 examples that vary in as many directions.
        components: k.

    Raises:
        ValueError: the examples vary in fewer directions.
    """
    flat = x.reshape(len(x), -1).astype(np.float64)
    mean = flat.mean(0)
    # Far cheaper than singular values of all examples, and as exact for the leading components.
    variances, vectors = np.linalg.eigh(np.cov(flat, rowvar=False))
    variances, directions = variances[::-1][:components], vectors[:, ::-1][:, :components].T
    if len(variances) < components or variances[-1] <= 1e-12 * variances[0]:
        raise ValueError(f"the examples do not vary in {components} directions")
    largest = np.abs(directions).argmax(1)
    directions = directions * np.sign(directions[np.arange(components), largest])[:, None]
    return Whitening(mean, directions, np.sqrt(variances))
