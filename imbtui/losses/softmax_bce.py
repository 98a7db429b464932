"""Binary cross-entropy of softmax probabilities: what the released code of manifold mixup minimises."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from imbtui.numerics.mixup import softmax_bce


class SoftmaxBCE(nn.Module):
    """Mean over classes of BCE(softmax(z)_c, onehot(y)_c) (verma2019 §Algorithm).

    The released code takes it for all networks, mixed or not. It has the minimiser of cross-entropy, but
    gradients are about 2 / K of its own: with many classes the learning rate is in effect smaller.

    Args:
        class_counts: training examples a class, (K,); only their number counts.
    """

    def __init__(self, class_counts: Tensor) -> None:
        super().__init__()
        self.num_classes = len(class_counts)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Map logits (N, K) and labels (N,) to losses (N,)."""
        return softmax_bce(logits, F.one_hot(targets, self.num_classes))


build = SoftmaxBCE
