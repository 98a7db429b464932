"""Random Fourier features and the least squares that fit them exactly (nakkiran2019)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Complex = NDArray[np.complexfloating]


def random_frequencies(features: int, inputs: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return w_j ~ N(0, 1 / d_in I) as rows, (features, inputs) (nakkiran2019 §4).

    Those of fewer features are the first rows of those of more, so that a sweep is nested.
    """
    return rng.standard_normal((features, inputs)) / np.sqrt(inputs)


def fourier_features(x: NDArray[np.float64], frequencies: NDArray[np.float64]) -> Complex:
    """Return phi_j(x) = exp(-i <w_j, x>), (N, features) (nakkiran2019 §4).

    Args:
        x: inputs, (N, d_in).
        frequencies: w, (features, d_in).
    """
    return np.exp(-1j * (x @ frequencies.T))


def minimum_norm_weights(features: Complex, targets: NDArray[np.float64]) -> Complex:
    """Return the shortest of the b that minimise |features b - targets|^2 (nakkiran2019 §4).

    With at least as many independent features as examples it interpolates: the effective model complexity
    is the number of features exactly.

    Args:
        features: phi, (N, features).
        targets: one-hot labels, (N, K).
    """
    return np.linalg.lstsq(features, targets.astype(np.complex128), rcond=None)[0]
