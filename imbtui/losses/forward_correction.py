"""Forward correction: cross-entropy of predictions that went through the label noise (patrini2017)."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from imbtui.losses._transition import TransitionLoss
from imbtui.numerics.transition import forward_loss
from imbtui.option_types import Rate


class ForwardCorrection(TransitionLoss):
    """-log (p T)_t: probabilities are multiplied by the noise's matrix T before the loss (patrini2017 §2.1).

    Args:
        class_counts: training examples a class, (K,).
        transition: `true`: T of the recipe's label noise; `given`: `matrix`; `estimated`: the method
            `estimate_transition` finds it, and training before that is plain cross-entropy.
        matrix: T of `given`, a list of rows: rows are clean labels, columns noisy ones.
        alpha: use alpha I + (1 - alpha) T.
    """

    log_transition: Tensor

    def __init__(
        self,
        class_counts: Tensor,
        *,
        transition: Literal["true", "given", "estimated"] = "true",
        matrix: list[list[Rate]] | None = None,
        alpha: Rate = 0.0,
    ) -> None:
        super().__init__(class_counts, transition, matrix, alpha)

    def update(self) -> None:
        """Compute log T."""
        self.register_buffer("log_transition", self.transition.log())

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Map logits (N, K) and noisy labels (N,) to one value a sample, (N,)."""
        return forward_loss(logits, targets, self.log_transition)


build = ForwardCorrection
