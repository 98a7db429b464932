"""Solve for the linear head instead of descending: (weighted) least squares, over many draws in one run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from imbtui.engine.method import Method
from imbtui.engine.modes import evaluation_mode
from imbtui.engine.tick import Tick
from imbtui.methods._head import solve_head
from imbtui.methods._replicates import over_replicates
from imbtui.numerics.importance_weights import effective_sample_size
from imbtui.option_types import Count

if TYPE_CHECKING:
    from imbtui.engine.run import Assembly, Run

WHERE = "methods.least_squares"
STAGE = "train"
TAKES_STEPS = False
TASKS = ("classification", "regression")
REPLICATES = True
SETTLED = 1e-10
METRICS = ("least_squares/rounds", "least_squares/effective_sample_size")


class LeastSquares(Method):
    """Plans one stage in which the head of the network is solved for, its features as they are.

    Of the model `linear` that is the whole network. The squared error of real targets, or of one-hot
    classes, is minimised under the weights of the recipe's other methods. These may depend on the losses
    (`one_step`), so solving and weighting alternate until the weights stay as they are (lu2021 §3.5).

    `train.replicates` repeats everything on draws of its own, methods' estimates included: metrics are
    means over these, and their values an artefact, `replicates.json`. Logged besides:
    `least_squares/rounds`, and `least_squares/effective_sample_size` where there are weights.

    A stopped run starts over: it takes seconds.

    Args:
        rounds: most alternations.
    """

    def __init__(self, *, rounds: Count = 50) -> None:
        super().__init__()
        self.rounds = rounds

    def plan(self, run: Run) -> None:
        """Solve every replicate and log the means.

        Raises:
            UserError: the model has no linear head.
            Stopped: the run was asked to stop.
        """

        def measure(part: Assembly) -> dict[str, Any]:
            return self._solve(part) | run.scores(part, Tick(STAGE, 0, 1, 1))[0]

        over_replicates(run, STAGE, measure)

    @torch.no_grad()
    def _solve(self, part: Assembly) -> dict[str, float]:
        """Put the solution into the head and return what is logged of the way there."""
        model, objective = part.objective.model, part.objective
        batch, classes = part.context.whole("train"), part.context.num_classes
        targets = F.one_hot(batch.y, classes).to(batch.x.dtype) if classes else batch.y[:, None]
        weights: Tensor | None = None
        start = Tick(STAGE, 0, 1, 1)
        solved = 0
        with evaluation_mode(model):
            while solved < self.rounds:
                solved += 1
                solve_head(model, batch.x, targets, weights, where=WHERE)
                losses = objective.sample_losses(model(batch.x), batch, start)
                before, weights = weights, objective.sample_weights(batch, losses, start)
                if weights is None or (
                    before is not None and torch.allclose(weights, before, SETTLED, SETTLED)
                ):
                    break
        logs = {"least_squares/rounds": float(solved)}
        if weights is not None:
            logs["least_squares/effective_sample_size"] = float(effective_sample_size(weights))
        return logs


build = LeastSquares
