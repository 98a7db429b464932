"""Cross-entropy against labels that are mixed with the uniform distribution."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from imbtui.errors import UserError
from imbtui.option_types import Rate


class LabelSmoothing(nn.Module):
    """The label smoothing of kornblith2021 §2.

    Args:
        class_counts: training examples a class; not used.
        alpha: weight of the uniform distribution, below 1.
        rescale: divide by 1 - alpha, as the released code does: the same as a larger learning rate with
            a smaller weight decay.

    Raises:
        UserError: alpha is 1.
    """

    def __init__(self, class_counts: Tensor, *, alpha: Rate = 0.1, rescale: bool = True) -> None:
        super().__init__()
        if alpha == 1:
            raise UserError("alpha must be below 1: no label would be left", where="loss.alpha")
        self.alpha = alpha
        self.rescale = rescale

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Map logits (N, K) and labels (N,) to one value a sample, (N,)."""
        return label_smoothing_loss(logits, targets, self.alpha, rescale=self.rescale)


def label_smoothing_loss(logits: Tensor, targets: Tensor, alpha: float, *, rescale: bool) -> Tensor:
    """Return -sum_k t_k log p_k with t = (1 - alpha) onehot + alpha / K, (N,) (kornblith2021 §2).

    Args:
        logits: (N, K); p = softmax(logits).
        targets: (N,) int64.
        alpha: in [0, 1).
        rescale: divide by 1 - alpha.
    """
    losses = F.cross_entropy(logits, targets, reduction="none", label_smoothing=alpha)
    return losses / (1 - alpha) if rescale else losses


build = LabelSmoothing
