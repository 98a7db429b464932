"""Random-feature Gaussian processes: features, Laplace covariance, mean-field logits."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def random_directions(
    features: int, width: int, generator: torch.Generator, *, orthogonal: bool = False
) -> Tensor:
    """Return W_L, (features, width) float64: rows are N(0, I), or orthogonal in blocks (liu2020 §2).

    Orthogonal ones are the directions of QR decompositions of Gaussian matrices, `width` at a time, each
    with a length drawn as that of a Gaussian vector.
    """
    if not orthogonal:
        return torch.randn(features, width, generator=generator, dtype=torch.float64)
    blocks = []
    for _ in range(0, features, width):
        square = torch.randn(width, width, generator=generator, dtype=torch.float64)
        q, r = torch.linalg.qr(square)
        # The signs of R's diagonal make the directions uniform on the sphere.
        blocks.append(q * r.diagonal().sign())
    lengths = torch.randn(features, width, generator=generator, dtype=torch.float64).norm(dim=1)
    return torch.cat(blocks)[:features] * lengths[:, None]


def random_offsets(features: int, generator: torch.Generator) -> Tensor:
    """Return b_L ~ U(0, 2 pi), (features,) float64 (liu2020 §2)."""
    return 2 * math.pi * torch.rand(features, generator=generator, dtype=torch.float64)


def random_fourier_features(h: Tensor, directions: Tensor, offsets: Tensor, *, scale: bool = True) -> Tensor:
    """Return phi = s cos(h W_L^T + b_L), (N, D), with s = sqrt(2 / D) or 1 (liu2020 §2).

    Args:
        h: what enters, (N, d), over the length scale.
        directions: W_L, (D, d).
        offsets: b_L, (D,).
        scale: whether s is sqrt(2 / D).
    """
    phi = torch.cos(h @ directions.T + offsets)
    return phi * math.sqrt(2 / len(offsets)) if scale else phi


def feature_precision(phi: Tensor) -> Tensor:
    """Return sum_i phi_i phi_i^T, (D, D) float64: the reference layer's exact form (liu2020 §3)."""
    phi = phi.double()
    return phi.T @ phi


def class_precisions(phi: Tensor, probabilities: Tensor) -> Tensor:
    """Return sum_i p_ik (1 - p_ik) phi_i phi_i^T of every class k, (K, D, D) float64 (liu2020 §3).

    Args:
        phi: (N, D).
        probabilities: p, (N, K).
    """
    phi, p = phi.double(), probabilities.double()
    return torch.stack([(phi * weight[:, None]).T @ phi for weight in (p * (1 - p)).T])


def moving_precision(precision: Tensor, batch_sum: Tensor, count: Tensor | int, momentum: float) -> Tensor:
    """Return m P + (1 - m) Phi^T Phi / B, (D, D) (liu2020 §3).

    Args:
        precision: P so far, (D, D).
        batch_sum: Phi^T Phi of a batch.
        count: its size B.
        momentum: m.
    """
    return momentum * precision + (1 - momentum) * batch_sum / count


def factor_of(precision: Tensor, ridge: float) -> Tensor:
    """Return the lower Cholesky factor of P + r I, (..., D, D) (liu2020 §3)."""
    identity = torch.eye(precision.shape[-1], dtype=precision.dtype, device=precision.device)
    return torch.linalg.cholesky(precision + ridge * identity)


def predictive_variance(phi: Tensor, factor: Tensor, ridge: float) -> Tensor:
    """Return r phi^T (P + r I)^-1 phi, (N,), or (N, K) for factors of K classes (liu2020 §3).

    With r = 1 the latter is the paper's phi^T (I + sum p (1 - p) phi phi^T)^-1 phi. Where there was no data
    it is |phi|^2.

    Args:
        phi: (N, D).
        factor: of P + r I, (D, D) or (K, D, D); see `factor_of`.
        ridge: r.
    """
    solved = torch.linalg.solve_triangular(factor, phi.to(factor.dtype).T, upper=False)
    variance = ridge * solved.square().sum(-2)
    return variance if factor.dim() == 2 else variance.T


def mean_field_logits(logits: Tensor, variance: Tensor, factor: float) -> Tensor:
    """Return z / sqrt(1 + f var), (N, K); z as it is for f < 0 (liu2020 §4).

    Args:
        logits: z, (N, K).
        variance: (N,), or (N, K).
        factor: f.
    """
    if factor < 0:
        return logits
    of_class = variance if variance.dim() == 2 else variance[:, None]
    return logits / (1 + factor * of_class).sqrt().to(logits.dtype)
