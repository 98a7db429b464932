"""Weights from gradients: which examples pull the network where a clean validation set wants it (lu2021)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def gradient_agreement(losses: Tensor, validation_loss: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """Return u_i = grad l_i . grad L_val, (N,): how much a step on example i lowers the validation loss.

    It is -d L_val(theta - a grad sum_i e_i l_i) / d e_i at e = 0, divided by the step size a, which is what
    learning to reweight descends by (lu2021 §3.6, the baseline Reweight). No gradient of a single example is
    made: the sum over e is differentiated twice.

    Args:
        losses: of the training examples, (N,), differentiable in the parameters.
        validation_loss: (), likewise.
        parameters: theta; those that do not enter count nothing.
    """
    wanted = torch.autograd.grad(validation_loss, parameters, allow_unused=True)
    shares = torch.zeros_like(losses, requires_grad=True)
    given = torch.autograd.grad(shares @ losses, parameters, create_graph=True, allow_unused=True)
    products = [(g * w).sum() for g, w in zip(given, wanted, strict=True) if g is not None and w is not None]
    (agreement,) = torch.autograd.grad(torch.stack(products).sum(), shares)
    return agreement


def rectified_weights(agreement: Tensor) -> Tensor:
    """Return N max(u, 0) / sum max(u, 0), (N,): they average 1, or are all 0 (lu2021 §3.6)."""
    positive = agreement.clamp_min(0)
    return len(positive) * positive / positive.sum().clamp_min(torch.finfo(positive.dtype).tiny)
