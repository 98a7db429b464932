"""Unhinged loss: linear in the output for the given class (van Rooyen et al. 2015)."""

from __future__ import annotations

from torch import Tensor, nn


class Unhinged(nn.Module):
    """The unhinged loss of outputs that batch norm bounds: use `model.head = "batch_norm"`.

    Args:
        class_counts: training examples a class; not used.
    """

    def __init__(self, class_counts: Tensor) -> None:
        super().__init__()

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Map outputs (N, K) and labels (N,) to one value a sample, (N,)."""
        return unhinged_loss(logits, targets)


def unhinged_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return mean_k (1 - y_k f_k), y one-hot, (N,) (patrini2017 §2.3).

    It is not bounded below, so the paper bounds f by batch norm.

    Args:
        outputs: f, (N, K).
        targets: (N,) int64.
    """
    own = outputs.gather(1, targets.unsqueeze(1)).squeeze(1)
    return 1 - own / outputs.shape[1]


build = Unhinged
