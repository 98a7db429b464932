"""Closed forms through every point: zhang2017 §5, §8."""

from __future__ import annotations

import pytest
import torch

from imbtui.numerics.interpolation import (
    NotInterpolable,
    gaussian_kernel,
    kernel_weights,
    min_norm_weights,
    two_layer,
    two_layer_weights,
)


def exact(*rows: object) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def some(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_two_layer_worked_example() -> None:
    """zhang2017 §8 B."""
    X, a, y = exact([1, 0], [0, 1], [2, 1]), exact(1, 0.5), exact(1, -1, 3)
    b, w = two_layer_weights(X @ a, y)
    torch.testing.assert_close(b, exact(-0.5, 0.75, 1.75), atol=1e-6, rtol=0)
    torch.testing.assert_close(w, exact(-1, 10, -15.333333333), atol=1e-6, rtol=0)
    torch.testing.assert_close(two_layer(X @ a, b, w), y, atol=1e-6, rtol=0)


def test_two_layers_fit_many_points() -> None:
    """Projections as close as 1e-7 cost digits, which is why runs report the largest error."""
    z, y = some(1500), some(1500).flip(0)
    torch.testing.assert_close(two_layer(z, *two_layer_weights(z, y)), y, atol=1e-4, rtol=0)


def test_equal_projections_are_refused() -> None:
    with pytest.raises(NotInterpolable, match="same projection"):
        two_layer_weights(exact(1, 2, 1), exact(0, 0, 0))


def test_min_norm_worked_example() -> None:
    """zhang2017 §8 C."""
    X, y = exact([1, 0, 1], [0, 2, 0]), exact([2], [-1])
    w = min_norm_weights(X, y)
    torch.testing.assert_close(w, exact([1], [-0.5], [1]), atol=1e-6, rtol=0)
    assert float(w.norm()) == pytest.approx(1.5, abs=1e-6)


def test_gradient_descent_from_zero_ends_at_the_shortest_solution() -> None:
    """zhang2017 §5.2."""
    X, Y = some(5, 12), some(5, 3)
    w = torch.zeros(12, 3, dtype=torch.float64)
    for _ in range(3000):
        w -= 0.02 * X.T @ (X @ w - Y)
    torch.testing.assert_close(w, min_norm_weights(X, Y), atol=1e-8, rtol=0)


def test_dependent_inputs_are_refused() -> None:
    with pytest.raises(NotInterpolable, match="linearly dependent"):
        min_norm_weights(exact([1, 2, 0], [2, 4, 0]), exact([1], [0]))


def test_kernel_against_scikit_learn() -> None:
    from sklearn.kernel_ridge import KernelRidge

    X, Y, new = some(40, 6), some(40, 3), some(9, 6) * 0.5
    for ridge in (0.0, 0.1):
        theirs = KernelRidge(alpha=ridge, kernel="rbf", gamma=0.3).fit(X, Y).predict(new)
        ours = gaussian_kernel(new, X, 0.3) @ kernel_weights(gaussian_kernel(X, X, 0.3), Y, ridge)
        torch.testing.assert_close(ours, torch.from_numpy(theirs), atol=1e-8, rtol=0)


def test_equal_inputs_make_the_kernel_singular() -> None:
    X = exact([1, 2], [1, 2], [0, 1])
    with pytest.raises(NotInterpolable, match="kernel matrix is singular"):
        kernel_weights(gaussian_kernel(X, X, 1.0), some(3, 1))
    assert kernel_weights(gaussian_kernel(X, X, 1.0), some(3, 1), ridge=0.1).isfinite().all()
