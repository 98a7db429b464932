"""Cross-entropy with class-dependent temperatures: rare classes need larger decision values (CDT, ye2020)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from imbtui.numerics.vector_scaling import cdt_temperatures, require_examples
from imbtui.option_types import NonNegative


class CDT(nn.Module):
    """Class-dependent temperatures (ye2020 §2.1), in training only; predictions come from the raw logits.

    It needs zero training error to pay, so a long schedule (ye2020 §8.2). The deferred form (§2.2) is
    `loss.start_epoch`. Equal to `vs` with tau 0.

    Args:
        class_counts: training examples a class, (K,); all above 0.
        gamma: strength; 0 is cross-entropy. 0.1 to 0.3 for ten classes.

    Raises:
        UserError: a class has no examples.
    """

    temperatures: Tensor

    def __init__(self, class_counts: Tensor, *, gamma: NonNegative = 0.2) -> None:
        super().__init__()
        require_examples(class_counts, "cdt")
        self.register_buffer("temperatures", cdt_temperatures(class_counts, gamma))

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Map logits (N, K) and labels (N,) to one value a sample, (N,)."""
        return cdt_loss(logits, targets, self.temperatures)


def cdt_loss(logits: Tensor, targets: Tensor, temperatures: Tensor) -> Tensor:
    """Return logsumexp_c(z_c / a_c) - z_y / a_y, (N,) (ye2020 §2.1).

    Args:
        logits: z, (N, K).
        targets: y, (N,) int64.
        temperatures: a, (K,).
    """
    return F.cross_entropy(logits / temperatures.to(logits.dtype), targets, reduction="none")


build = CDT
