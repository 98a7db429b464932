"""Neural tangent kernels of two-layer ReLU networks without biases (singla2021 §Mathematics, Theorem 2)."""

from __future__ import annotations

from math import pi

import torch
from torch import Tensor

KINK = 1e-12
"""How far cosines are kept from 1 and -1, where the kernel has infinite slope, in units of one."""


def fc_ntk(U: Tensor, V: Tensor) -> Tensor:
    """Return the kernel of the fully connected network for all pairs, (m, n) (singla2021 §Mathematics).

    K(x, y) = |x| |y| (c k0(c) + k1(c)) for the cosine c of x and y, with k0 = (pi - acos c) / pi and
    k1 = (c (pi - acos c) + sqrt(1 - c^2)) / pi.

    Args:
        U, V: inputs (m, ...) and (n, ...); float64 for gradients near equal inputs.
    """
    u, v = U.flatten(1), V.flatten(1)
    return _of_inner_products(u @ v.T, u.norm(dim=1)[:, None] * v.norm(dim=1))


def cntk_gap(U: Tensor, V: Tensor) -> Tensor:
    """Return the kernel of one circular convolution as large as the image, ReLU, and an average over places.

    It is the mean of `fc_ntk` over all pairs of circular shifts (singla2021 §Mathematics), which depends
    on how they lie to each other alone: one autocorrelation gives all of them.

    Args:
        U, V: images (m, C, H, W) and (n, C, H, W).

    Returns:
        (m, n).
    """
    size = U.shape[-2:]
    spectra = torch.einsum("mchw,nchw->mnhw", torch.fft.rfft2(U), torch.fft.rfft2(V).conj())
    inner = torch.fft.irfft2(spectra, s=size)
    norms = U.flatten(1).norm(dim=1)[:, None] * V.flatten(1).norm(dim=1)
    return _of_inner_products(inner, norms[:, :, None, None]).mean((2, 3))


def _of_inner_products(inner: Tensor, norms: Tensor) -> Tensor:
    """Return K from <x, y> and |x| |y|; zero where an input is."""
    positive = norms > 0
    c = torch.where(positive, inner / norms.where(positive, torch.ones_like(norms)), 0)
    c = c.clamp(KINK - 1, 1 - KINK)
    angle = pi - torch.acos(c)
    k0 = angle / pi
    k1 = (c * angle + (1 - c * c).sqrt()) / pi
    return norms * (c * k0 + k1)
