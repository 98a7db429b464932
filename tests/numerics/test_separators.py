"""Linear theory: limits of training, exact errors, and the tables of kini2021 §10 and §11."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.svm import SVC

from imbtui.datasets.gaussian_mixture import GaussianMixture
from imbtui.numerics.separators import (
    Array,
    angle,
    balanced_error,
    balancing_delta,
    cosine,
    cs_svm,
    gaussian_error,
    gradient_at_zero,
    margin_ratio,
    normal_tail,
    shift_intercept,
    standard_error,
    vs_descent_direction,
    weighted_logistic_gradient,
)

NOWHERE = Path("no such folder")


def mixture(seed: int, **options: object) -> tuple[Array, Array]:
    train = GaussianMixture(**options).load(NOWHERE, split_seed=seed).train  # type: ignore[arg-type]
    return train.x.astype(np.float64), 2.0 * train.targets - 1


def unit(axis: int, size: int = 300) -> Array:
    return np.eye(1, size, axis)[0]


def descend(
    x: Array, y: Array, scales: Array, offsets: Array, weights: Array, steps: int
) -> dict[int, Array]:
    """Return w after 1, 100 and all steps of normalised descent (kini2021 §10)."""
    w, seen = np.zeros(x.shape[1]), {}
    for t in range(steps):
        w = w + 0.1 / math.sqrt(1 + t / 200) * vs_descent_direction(x, y, w, scales, offsets, weights)
        if t + 1 in (1, 100, steps):
            seen[t + 1] = w
    return seen


def test_cs_svm_against_scikit_learn() -> None:
    """Without intercept, each class's margin scaled: SVC on (y x) with margins as an affine constraint."""
    rng = np.random.RandomState(0)
    x, y = rng.randn(20, 30), np.where(np.arange(20) < 6, 1.0, -1.0)
    for delta in (1.0, 3.0, 0.5):
        w = cs_svm(x, y, delta)
        margins = y * (x @ w)
        wanted = np.where(y > 0, delta, 1.0)
        assert (margins > wanted - 1e-6).all()
        # Optimal: w is a combination, with coefficients of 0 or more, of the tight constraints.
        tight = margins < wanted + 1e-6
        coefficients, residual, *_ = np.linalg.lstsq((x * y[:, None])[tight].T, w, rcond=None)
        assert (coefficients > -1e-9).all()
        assert residual.sum() < 1e-12 if len(residual) else True


def test_margins_of_the_two_limits() -> None:
    x, y = mixture(0)
    svm, cost_sensitive = cs_svm(x, y), cs_svm(x, y, 3.0)
    assert margin_ratio(x, y, svm) == pytest.approx(1, abs=1e-6)
    assert margin_ratio(x, y, cost_sensitive) == pytest.approx(3, abs=1e-6)
    assert cosine(svm, cost_sensitive) == pytest.approx(0.890, abs=5e-4)


def test_inseparable_classes_are_refused() -> None:
    x, y = np.array([[1.0], [1.0]]), np.array([1.0, -1.0])
    with pytest.raises(ValueError, match="cannot be separated"):
        cs_svm(x, y)
    x, y = mixture(0)
    with pytest.raises(ValueError, match="not found in 3 sweeps"):
        cs_svm(x, y, sweeps=3)


TABLE = {
    # cos SVM, cos CS-SVM, R_+, R_- at the end, R_+ at step 1, R_+ at step 100
    "CE": (0.99999, 0.890, 0.166, 0.003, 0.445, 0.169),
    "weighted CE": (0.99998, 0.891, 0.165, 0.003, 0.042, 0.155),
    "LA": (0.99998, 0.891, 0.165, 0.003, 0.348, 0.155),
    "CDT": (0.892, 0.99998, 0.052, 0.038, 0.540, 0.059),
    "VS": (0.891, 0.99999, 0.051, 0.039, 0.506, 0.052),
}


@pytest.mark.parametrize("name", TABLE)
def test_table_of_study_a(name: str) -> None:
    """kini2021 §10, seed 0."""
    x, y = mixture(0)
    share = np.where(y > 0, 0.1, 0.9)
    scales = np.where(y > 0, 1 / 3, 1.0) if name in ("CDT", "VS") else np.ones(100)
    offsets = -np.log(share) if name in ("LA", "VS") else np.zeros(100)
    weights = 1 / share if name == "weighted CE" else np.ones(100)
    seen = descend(x, y, scales, offsets, weights, 4000)
    w = seen[4000]
    found = (
        cosine(w, cs_svm(x, y)),
        cosine(w, cs_svm(x, y, 3.0)),
        gaussian_error(w, 0.0, 4 * unit(0), 1),
        gaussian_error(w, 0.0, -4 * unit(1), -1),
        gaussian_error(seen[1], 0.0, 4 * unit(0), 1),
        gaussian_error(seen[100], 0.0, 4 * unit(0), 1),
    )
    for value, expected in zip(found, TABLE[name], strict=True):
        assert value == pytest.approx(expected, abs=1e-5 if expected > 0.999 else 6e-4)


@pytest.mark.parametrize(
    ("seed", "svm", "delta", "equal"),
    [
        (0, (0.513, 0.0001), 3.196, 0.0355),
        (1, (0.543, 0.0002), 3.099, 0.0399),
        (2, (0.420, 0.0003), 2.830, 0.0357),
    ],
)
def test_intercept_shift_balances_the_errors(
    seed: int, svm: tuple[float, float], delta: float, equal: float
) -> None:
    """kini2021 §3.2 and §10."""
    x, y = mixture(seed, shifts=[4.0, 4.0])
    plus, minus = 4 * unit(0), 4 * unit(1)
    fitted = SVC(kernel="linear", C=1e6, tol=1e-6).fit(x, y)
    w, b = fitted.coef_[0], float(fitted.intercept_[0])
    assert gaussian_error(w, b, plus, 1) == pytest.approx(svm[0], abs=6e-4)
    assert gaussian_error(w, b, minus, -1) == pytest.approx(svm[1], abs=6e-5)
    found = balancing_delta(w, b, plus, minus)
    assert found == pytest.approx(delta, abs=2e-3)
    shifted, intercept = shift_intercept(w, b, found)
    assert cosine(shifted, w) == pytest.approx(1)
    margins = y * (x @ shifted + intercept)
    assert margins[y > 0].min() == pytest.approx(found, abs=1e-4)
    assert margins[y < 0].min() == pytest.approx(1, abs=1e-4)
    for mean, sign in ((plus, 1), (minus, -1)):
        assert gaussian_error(shifted, intercept, mean, sign) == pytest.approx(equal, abs=6e-5)


def test_no_delta_balances_far_means() -> None:
    with pytest.raises(ValueError, match="not below 1"):
        balancing_delta(np.array([1.0]), 0.0, np.array([3.0]), np.array([0.0]))


def test_gaussian_errors_are_tails() -> None:
    """kini2021 §3.3."""
    assert normal_tail(1.3) == pytest.approx(norm.sf(1.3), abs=1e-15)
    w, mean = np.array([3.0, 4.0]), np.array([1.0, 2.0])
    assert gaussian_error(w, 1.0, mean, 1) == pytest.approx(norm.sf(12 / 5))
    assert gaussian_error(w, 1.0, mean, -1) == pytest.approx(norm.sf(-12 / 5))
    assert balanced_error(0.2, 0.1) == pytest.approx(0.15)
    assert standard_error(0.2, 0.1, 0.1) == pytest.approx(0.11)
    points = np.random.RandomState(0).randn(200_000, 2) + mean
    assert (points @ w + 1 < 0).mean() == pytest.approx(gaussian_error(w, 1.0, mean, 1), abs=1e-3)


def test_direction_is_that_of_the_gradient() -> None:
    """kini2021 §10 in the logarithm, against the plain formula; and without underflow where that is zero."""
    rng = np.random.RandomState(0)
    x, y = rng.randn(8, 5), np.where(np.arange(8) % 2, 1.0, -1.0)
    scales, offsets, weights = rng.rand(3, 8) + 0.5
    w = rng.randn(5)
    plain = -(weights * scales / (1 + np.exp(scales * y * (x @ w) - offsets)) * y) @ x
    found = vs_descent_direction(x, y, w, scales, offsets, weights)
    np.testing.assert_allclose(found, -plain / np.linalg.norm(plain), atol=1e-12)
    start = gradient_at_zero(x, y, scales, offsets, weights).sum(0)
    at_zero = vs_descent_direction(x, y, np.zeros(5), scales, offsets, weights)
    np.testing.assert_allclose(at_zero, -start / np.linalg.norm(start), atol=1e-12)
    far = vs_descent_direction(np.abs(x), np.ones(8), np.full(5, 1e4), scales, offsets, weights)
    assert np.linalg.norm(far) == pytest.approx(1)


def test_start_of_training() -> None:
    """kini2021 §3.4: Delta below 1 lowers a sample's pull, iota above 0 raises it."""
    x, one = np.ones((1, 1)), np.ones(1)

    def pull(scale: float, offset: float) -> float:
        return abs(gradient_at_zero(x, one, one * scale, one * offset, one).item())

    assert pull(1.0, 0.0) == pytest.approx(0.5)
    assert pull(1 / 3, 0.0) < pull(1 / 3, 2.0) < pull(1.0, 0.0) < pull(1.0, 2.0)


def test_weighted_logistic_descent() -> None:
    """byrd2019 §8: the worked example, 4:1 rescaled to a mean of one."""
    x, y = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]]), np.array([1.0, 1.0, -1.0])
    weights = np.array([1.6, 1.6, 0.4])
    w, b = np.zeros(2), 0.0
    for expected_w, expected_b in ((0.333333, 0.466667), (0.558702, 0.737338)):
        gradient, slope = weighted_logistic_gradient(x, y, w, b, weights)
        w, b = w - gradient, b - slope
        np.testing.assert_allclose(w, expected_w, atol=1e-6)
        assert b == pytest.approx(expected_b, abs=1e-6)


def test_weights_do_not_change_where_training_ends() -> None:
    """byrd2019 §2.3: separators under 1:16 and 16:1 start far apart and meet at the max-margin one."""
    x, y = mixture(1)
    ones, zeros = np.ones(100), np.zeros(100)
    ends = [descend(x, y, ones, zeros, np.where(y > 0, a, b), 4000) for a, b in ((16.0, 1.0), (1.0, 16.0))]
    assert angle(ends[0][1], ends[1][1]) > 60
    assert angle(ends[0][4000], ends[1][4000]) < 1.5
    assert max(angle(end[4000], cs_svm(x, y)) for end in ends) < 1


def test_angles() -> None:
    assert angle(np.array([1.0, 0.0]), np.array([1.0, 1.0])) == pytest.approx(45)
    assert cosine(np.zeros(2), np.ones(2)) == 0
