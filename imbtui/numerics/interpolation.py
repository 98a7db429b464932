"""Functions that pass through every training point, in closed form (zhang2017)."""

from __future__ import annotations

import torch
from torch import Tensor


class NotInterpolable(ValueError):
    """No function of the kind passes through the points. The message is a phrase that says why."""


def two_layer_weights(z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return thresholds b and weights w of c(x) = sum_j w_j max(<a, x> - b_j, 0) through n points, both (n,).

    zhang2017 §5.1: with z sorted, b_1 = z_1 - 1 and b_j = (z_(j-1) + z_j) / 2 make
    A_ij = max(z_i - b_j, 0) lower triangular with a positive diagonal, and A w = y is solved by forward
    substitution. With the direction a that makes 2 n + d weights.

    Args:
        z: projections <a, x_i>, (n,); float64, since conditioning degrades quickly with n.
        y: values to take there, (n,).

    Raises:
        NotInterpolable: two projections are equal.
    """
    z, order = z.sort()
    if bool((z[1:] == z[:-1]).any()):
        raise NotInterpolable("two inputs have the same projection")
    b = torch.cat([z[:1] - 1, (z[1:] + z[:-1]) / 2])
    A = (z[:, None] - b).clamp_min(0)
    w = torch.linalg.solve_triangular(A, y[order].to(z.dtype)[:, None], upper=False)
    return b, w[:, 0]


def two_layer(z: Tensor, b: Tensor, w: Tensor) -> Tensor:
    """Return c at projections z (m,): sum_j w_j max(z - b_j, 0), (m,) (zhang2017 §5.1)."""
    return (z[:, None] - b).clamp_min(0) @ w


def min_norm_weights(X: Tensor, Y: Tensor) -> Tensor:
    """Return the shortest w, (d, K), with X w = Y: solve X X^T alpha = Y, w = X^T alpha (zhang2017 §5.2).

    Gradient descent on the squared error from w = 0 converges to it.

    Args:
        X: inputs (n, d), n at most d and of rank n.
        Y: targets (n, K).

    Raises:
        NotInterpolable: the inputs are linearly dependent.
    """
    return X.T @ _solve_positive(X @ X.T, Y, "the inputs are linearly dependent")


def gaussian_kernel(U: Tensor, V: Tensor, c: float) -> Tensor:
    """Return k(u, v) = exp(-c |u - v|^2) for all pairs of (m, d) and (n, d), as (m, n) (zhang2017 §5.2)."""
    # In place: for 60,000 images one such matrix is all that a GPU holds.
    K = U @ V.T
    K.mul_(-2).add_(U.square().sum(1)[:, None]).add_(V.square().sum(1)).clamp_min_(0)
    return K.mul_(-c).exp_()


def kernel_weights(K: Tensor, Y: Tensor, ridge: float = 0.0) -> Tensor:
    """Return alpha, (n, K), with (K + ridge I) alpha = Y; k(x, X) alpha then predicts (zhang2017 §5.2).

    Args:
        K: kernel matrix k(X, X) of n distinct inputs, (n, n); used up.
        Y: targets (n, K).
        ridge: l2 regularisation; 0: interpolation.

    Raises:
        NotInterpolable: the matrix is singular in its precision.
    """
    K.diagonal().add_(ridge)
    return _solve_positive(K, Y, "the kernel matrix is singular: inputs are equal or the kernel is too wide")


def _solve_positive(K: Tensor, Y: Tensor, singular: str) -> Tensor:
    """Solve K alpha = Y for a positive definite K, whose memory is used up."""
    information = torch.empty((), dtype=torch.int32, device=K.device)
    torch.linalg.cholesky_ex(K, out=(K, information))
    if int(information) or float(K.diagonal().min() / K.diagonal().max()) < torch.finfo(K.dtype).eps ** 0.5:
        raise NotInterpolable(singular)
    return torch.cholesky_solve(Y, K)
