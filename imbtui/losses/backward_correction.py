"""Backward correction: the losses of all classes, mixed by the inverse of the label noise (patrini2017)."""

from __future__ import annotations

import sys
from typing import Literal

import torch
from torch import Tensor

from imbtui.losses._transition import TransitionLoss
from imbtui.numerics.transition import backward_loss, invert_transition
from imbtui.option_types import Rate

CONDITION_LIMIT = 1e3


class BackwardCorrection(TransitionLoss):
    """sum_j (T^-1)[t, j] (-log p_j): on average over the noise the clean loss (patrini2017 §2.2).

    It can be negative, and a large network drives it towards minus infinity unless p is clipped.

    Args:
        class_counts: training examples a class, (K,).
        transition: `true`: T of the recipe's label noise; `given`: `matrix`; `estimated`: the method
            `estimate_transition` finds it, and training before that is plain cross-entropy.
        matrix: T of `given`, a list of rows: rows are clean labels, columns noisy ones.
        alpha: use alpha I + (1 - alpha) T.
        clip: p is kept within [clip, 1 - clip], as the released code does; 0: not.
    """

    inverse: Tensor

    def __init__(
        self,
        class_counts: Tensor,
        *,
        transition: Literal["true", "given", "estimated"] = "true",
        matrix: list[list[Rate]] | None = None,
        alpha: Rate = 0.0,
        clip: Rate = 1e-7,
    ) -> None:
        super().__init__(class_counts, transition, matrix, alpha)
        self.clip = clip

    def update(self) -> None:
        """Invert T, and say so when that multiplies errors.

        Raises:
            ValueError: T is singular.
        """
        self.register_buffer("inverse", invert_transition(self.transition))
        condition = float(torch.linalg.cond(self.transition))
        if condition > CONDITION_LIMIT:
            print(f"The transition matrix is close to singular: condition {condition:.3g}.", file=sys.stderr)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Map logits (N, K) and noisy labels (N,) to one value a sample, (N,)."""
        return backward_loss(logits, targets, self.inverse, self.clip)


build = BackwardCorrection
