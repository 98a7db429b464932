"""What losses that are corrected by a transition matrix share: where the matrix comes from."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from imbtui.engine.context import Context
from imbtui.errors import UserError
from imbtui.numerics.transition import check_transition, mix_identity


class TransitionLoss(nn.Module):
    """A loss that is told the transition matrix T of the label noise, rows clean and columns noisy.

    T is the identity until it is known. Subclasses hold what they compute of T in buffers. A method that
    is going to estimate T writes its name into `estimator` when it is set up.

    Args:
        class_counts: training examples a class, (K,).
        transition: `true`: that of the run's label noise; `given`: `matrix`; `estimated`: the method
            `estimate_transition` finds it.
        matrix: T of `given`, a list of rows.
        alpha: T is replaced by alpha I + (1 - alpha) T (patrini2017 §2.2).

    Raises:
        UserError: `matrix` is missing, not asked for, or no transition matrix.
    """

    transition: Tensor

    def __init__(
        self,
        class_counts: Tensor,
        transition: Literal["true", "given", "estimated"],
        matrix: list[list[float]] | None,
        alpha: float,
    ) -> None:
        super().__init__()
        if (matrix is not None) != (transition == "given"):
            raise UserError('a matrix goes with transition = "given", which needs it', where="loss.matrix")
        self.source = transition
        self.estimator = ""
        self.alpha = alpha
        identity = torch.eye(len(class_counts), dtype=torch.float64, device=class_counts.device)
        self.register_buffer("transition", identity)
        self.update()
        if matrix is not None:
            if any(len(row) != len(matrix) for row in matrix):
                raise UserError("the rows of a matrix are as long as it has rows", where="loss.matrix")
            self.correct_for(torch.tensor(matrix, dtype=torch.float64))

    @property
    def takes_estimate(self) -> bool:
        """Whether T is left to be estimated."""
        return self.source == "estimated"

    def setup(self, context: Context) -> None:
        """Take T from the label noise that the training examples went through.

        Raises:
            UserError: the loss cannot be corrected for this noise, or no method estimates T.
        """
        if self.takes_estimate and not self.estimator:
            raise UserError(
                "no method estimates the transition matrix",
                where="loss.transition",
                hint="Add the method estimate_transition.",
            )
        transition = context.examples["train"].transition
        if self.source == "true" and transition is not None:
            self.correct_for(torch.from_numpy(transition))

    def correct_for(self, transition: Tensor) -> None:
        """Use this T, (K, K), from now on.

        Raises:
            UserError: it is no transition matrix, or the loss cannot be corrected for it.
        """
        try:
            check_transition(transition, len(self.transition))
            self.transition.copy_(mix_identity(transition.to(self.transition), self.alpha))
            self.update()
        except ValueError as error:
            raise UserError(str(error), where="loss") from error

    def update(self) -> None:
        """Compute what depends on `transition`.

        Raises:
            ValueError: that is not possible.
        """
        raise NotImplementedError
