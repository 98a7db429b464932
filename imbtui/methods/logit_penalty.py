"""Penalise long logit vectors."""

from __future__ import annotations

from torch import Tensor

from imbtui.engine.batch import Batch
from imbtui.engine.method import Method
from imbtui.engine.tick import Tick
from imbtui.option_types import NonNegative


class LogitPenalty(Method):
    """The logit penalty of kornblith2021 §2.

    Args:
        strength: beta in (beta / 2) mean_i ||z_i||^2; double it for a source that writes no half.
    """

    def __init__(self, *, strength: NonNegative = 6e-4) -> None:
        super().__init__()
        self.strength = strength

    def penalty(self, batch: Batch, logits: Tensor, t: Tick) -> Tensor | None:
        """Return the penalty, a scalar."""
        return logit_penalty(logits, self.strength)


def logit_penalty(logits: Tensor, strength: float) -> Tensor:
    """Return (strength / 2) mean_i ||z_i||^2, a scalar, in float32 or better (kornblith2021 §2).

    Args:
        logits: z, (..., K); the mean is over all but the last axis.
        strength: at least 0.
    """
    precise = logits if logits.element_size() > 4 else logits.float()
    return strength / 2 * precise.square().sum(-1).mean()


build = LogitPenalty
