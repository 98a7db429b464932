"""Linear separators of two classes: max-margin limits of weighted losses, and exact Gaussian errors.

Labels are signs, y = -1 or 1. All arrays are float64.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def cs_svm(
    x: Array, y: Array, delta: float = 1.0, *, tolerance: float = 1e-9, sweeps: int = 100_000
) -> Array:
    """Return the cost-sensitive SVM without intercept, (D,) (kini2021 §3.1).

    min ||w|| with w.x_i >= delta where y_i = 1 and w.x_i <= -1 where y_i = -1, by dual coordinate ascent:
    alpha_i <- max(0, alpha_i + (m_i - z_i.w) / ||z_i||^2) with z_i = y_i x_i, in cyclic sweeps. For
    delta = Delta_- / Delta_+ it is the limit of gradient descent on the binary VS loss, whatever its
    sample weights and additive terms; for delta = 1 the plain SVM, the limit for every positive weighting
    (byrd2019 §2.3).

    Args:
        x: separable inputs, (N, D).
        y: (N,).
        delta: margin asked of the positive class, over that of the negative.
        tolerance: largest change of an alpha in the last sweep.
        sweeps: given up after so many.

    Raises:
        ValueError: no linear function separates the classes, or its margin is so small that the sweeps
            do not get there.
    """
    z = x * y[:, None]
    gram = z @ z.T
    norms = np.maximum(gram.diagonal(), np.finfo(float).tiny).tolist()
    margins = np.where(y > 0, delta, 1.0).tolist()
    alpha = [0.0] * len(z)
    reached = np.zeros(len(z))  # z_i . w
    for sweep in range(sweeps):
        # Ascent on inseparable classes never ends; asking first would cost more than most solutions.
        if sweep == 1000 and not separable(z):
            raise ValueError("the classes cannot be separated by a linear function of the inputs")
        largest = 0.0
        for i, norm in enumerate(norms):
            new = max(0.0, alpha[i] + (margins[i] - reached[i]) / norm)
            change = new - alpha[i]
            if change:
                alpha[i] = new
                reached += change * gram[i]
                largest = max(largest, abs(change))
        if largest < tolerance:
            return np.asarray(alpha) @ z
    raise ValueError(f"the separator was not found in {sweeps} sweeps")


def separable(z: Array) -> bool:
    """Whether some w has w.z_i >= 1 for all rows of z = y x, (N, D): a linear programme."""
    from scipy.optimize import linprog

    solved = linprog(np.zeros(z.shape[1]), A_ub=-z, b_ub=-np.ones(len(z)), bounds=(None, None))
    return solved.status == 0


def vs_descent_direction(
    x: Array, y: Array, w: Array, scales: Array, offsets: Array, weights: Array
) -> Array:
    """Return the unit direction in which normalised gradient descent on the binary VS loss moves w, (D,).

    a_i = ln(omega_i Delta_i) + ln sigmoid(iota_i - Delta_i y_i w.x_i), c_i = exp(a_i - max a); the direction
    is that of sum_i c_i y_i x_i (kini2021 §10). In the logarithm nothing underflows, however small the loss.

    Args:
        x: (N, D).
        y: (N,).
        w: (D,).
        scales: Delta of each sample, (N,).
        offsets: iota of each sample, (N,).
        weights: omega of each sample, (N,).
    """
    logit = offsets - scales * y * (x @ w)
    a = np.log(weights * scales) + np.minimum(logit, 0) - np.log1p(np.exp(-np.abs(logit)))
    pull = np.exp(a - a.max()) * y @ x
    return pull / np.linalg.norm(pull)


def gradient_at_zero(x: Array, y: Array, scales: Array, offsets: Array, weights: Array) -> Array:
    """Return each sample's gradient at w = 0, (N, D): -omega Delta sigmoid(iota) y x (kini2021 §3.4).

    A multiplicative factor below 1 on the minority lowers its pull, an additive one raises it. The
    arguments are as in `vs_descent_direction`.
    """
    return -(weights * scales / (1 + np.exp(-offsets)) * y)[:, None] * x


def weighted_logistic_gradient(x: Array, y: Array, w: Array, b: float, weights: Array) -> tuple[Array, float]:
    """Return the gradient of (1/N) sum_i weight_i ln(1 + exp(-y_i (w.x_i + b))) in w, (D,), and b.

    byrd2019 §2.3.
    """
    factor = -weights * y / (1 + np.exp(y * (x @ w + b))) / len(y)
    return factor @ x, float(factor.sum())


def shift_intercept(w: Array, b: float, delta: float) -> tuple[Array, float]:
    """Return the cost-sensitive SVM with intercept from the SVM's w and b (kini2021 §3.2).

    w_delta = (delta + 1)/2 w and b_delta = (delta + 1)/2 b + (delta - 1)/2: the same direction with
    another threshold.
    """
    return (delta + 1) / 2 * w, (delta + 1) / 2 * b + (delta - 1) / 2


def balancing_delta(w: Array, b: float, mean_plus: Array, mean_minus: Array) -> float:
    """Return the delta whose separator makes both classes' errors equal (kini2021 §3.2).

    delta = (1 - q) / (1 + q) with q = b + (w.mu_+ + w.mu_-) / 2 of the SVM.

    Raises:
        ValueError: |q| is not below 1, so no positive delta does.
    """
    q = b + float(w @ (mean_plus + mean_minus)) / 2
    if not abs(q) < 1:
        raise ValueError(f"no delta balances the errors: |q| = {abs(q):g} is not below 1")
    return (1 - q) / (1 + q)


def gaussian_error(w: Array, b: float, mean: Array, sign: float) -> float:
    """Return the exact error on x ~ N(mean, I) with label `sign`: Q(sign (w.mean + b) / ||w||).

    Q is the tail of the standard normal distribution (kini2021 §3.3).
    """
    return normal_tail(sign * (float(w @ mean) + b) / float(np.linalg.norm(w)))


def normal_tail(value: float) -> float:
    """Return Q(value), the probability that a standard normal variable exceeds it (kini2021 §3.3)."""
    return 0.5 * math.erfc(value / math.sqrt(2))


def balanced_error(plus: float, minus: float) -> float:
    """Return (R_+ + R_-) / 2 (kini2021 §3.3)."""
    return (plus + minus) / 2


def standard_error(plus: float, minus: float, share_plus: float) -> float:
    """Return pi R_+ + (1 - pi) R_-, with pi the share of positive examples (kini2021 §3.3)."""
    return share_plus * plus + (1 - share_plus) * minus


def cosine(u: Array, v: Array) -> float:
    """Return the cosine of the angle between two separators, 0 where one is zero (kini2021 §6)."""
    norms = float(np.linalg.norm(u) * np.linalg.norm(v))
    return float(u @ v) / norms if norms else 0.0


def angle(u: Array, v: Array) -> float:
    """Return the angle between two separators in degrees (byrd2019 §6)."""
    return math.degrees(math.acos(min(1.0, max(-1.0, cosine(u, v)))))


def margin_ratio(x: Array, y: Array, w: Array, b: float = 0.0) -> float:
    """Return the smallest margin of the positive class over that of the negative (kini2021 §6)."""
    margins = y * (x @ w + b)
    return float(margins[y > 0].min() / margins[y < 0].min())
