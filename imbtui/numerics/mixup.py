"""Mixing hidden states and labels, and the losses of mixed labels (verma2019)."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def draw_share(alpha: float, rng: np.random.Generator) -> float:
    """Return lam ~ Beta(alpha, alpha); 1, which mixes nothing, for alpha = 0 (verma2019 §Algorithm 1)."""
    return float(rng.beta(alpha, alpha)) if alpha > 0 else 1.0


def mixed_states(states: Tensor, partners: Tensor, share: float, *, blocked: bool = False) -> Tensor:
    """Return lam h + (1 - lam) h[perm] (verma2019 §Algorithm 2); gradients reach both.

    Args:
        states: h, (N, ...).
        partners: perm, a position of the batch for each example, (N,) int64.
        share: lam.
        blocked: gradients of what follows are zero in h (verma2019 §Algorithm 5, the ablation).
    """
    if blocked:
        # Zero and not absent: several processes wait for a gradient of every parameter.
        states = states.detach() + 0 * states
    return share * states + (1 - share) * states[partners]


def mixed_targets(targets: Tensor, partners: Tensor, share: float, num_classes: int) -> Tensor:
    """Return lam onehot(y) + (1 - lam) onehot(y[perm]), (N, K) float64 (verma2019 §Algorithm 3)."""
    onehot = F.one_hot(targets, num_classes).double()
    return mixed_states(onehot, partners, share)


def soft_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Return -sum_c t_c log softmax(z)_c of each sample, (N,) (verma2019 §Algorithm 4).

    It is linear in the targets: for mixed ones it equals lam CE(z, y) + (1 - lam) CE(z, y[perm]), which is
    how any loss of labels is mixed while training.

    Args:
        logits: (N, K).
        targets: probabilities, (N, K).
    """
    return -(targets.to(logits.dtype) * logits.log_softmax(-1)).sum(-1)


def softmax_bce(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean over classes of BCE(softmax(z)_c, t_c) of each sample, (N,) (verma2019 §Algorithm).

    It is the loss of the released code. log(1 - p) of the most likely class is taken from the logits of the
    others, so that nothing is clamped; torch's BCELoss would cut logarithms at -100.

    Args:
        logits: (N, K), K >= 2.
        targets: probabilities, (N, K).
    """
    targets = targets.to(logits.dtype)
    log_p = logits.log_softmax(-1)
    top = F.one_hot(logits.argmax(-1), logits.shape[-1]).bool()
    of_others = log_p.masked_fill(top, -torch.inf).logsumexp(-1, keepdim=True)
    log_rest = torch.where(top, of_others, torch.log1p(-log_p.masked_fill(top, -torch.inf).exp()))
    return -(targets * log_p + (1 - targets) * log_rest).mean(-1)
