"""Cross-entropy against a mixture of the given label and the predicted class (Reed et al. 2015)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from imbtui.option_types import Rate


class BootstrapHard(nn.Module):
    """The hard bootstrap loss, a baseline of Patrini et al. (2017).

    Args:
        class_counts: training examples a class; not used.
        beta: weight of the given label; the rest is that of the predicted class.
    """

    def __init__(self, class_counts: Tensor, *, beta: Rate = 0.8) -> None:
        super().__init__()
        self.beta = beta

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Map logits (N, K) and labels (N,) to one value a sample, (N,)."""
        return bootstrap_hard_loss(logits, targets, self.beta)


def bootstrap_hard_loss(logits: Tensor, targets: Tensor, beta: float) -> Tensor:
    """Return -sum_k (beta y_k + (1 - beta) [k = argmax p]) log p_k, y one-hot, (N,) (patrini2017 §2.3).

    Args:
        logits: (N, K); p = softmax(logits).
        targets: (N,) int64.
        beta: weight of the given label.
    """
    log_p = F.log_softmax(logits, dim=1)
    own = F.nll_loss(log_p, targets, reduction="none")
    return beta * own - (1 - beta) * log_p.amax(1)


build = BootstrapHard
