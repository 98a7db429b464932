"""Choose how far importance weights are tamed by cross-validation under the full weights, in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from imbtui.engine.context import MethodContext
from imbtui.engine.method import Method
from imbtui.engine.modes import evaluation_mode
from imbtui.engine.seeding import seed_of
from imbtui.engine.tick import Tick
from imbtui.errors import UserError
from imbtui.methods._head import linear_head, solve_head
from imbtui.methods._replicates import over_replicates
from imbtui.numerics.importance_weights import (
    effective_sample_size,
    flattened_weights,
    relative_weights,
    weighted_risk,
)
from imbtui.option_types import Count, Rate

if TYPE_CHECKING:
    from imbtui.engine.run import Assembly, Run

WHERE = "methods.importance_cross_validation"
STAGE = "train"
TAKES_STEPS = False
TASKS = ("classification", "regression")
REPLICATES = True
METRICS = (
    "importance_cross_validation/chosen",
    "importance_cross_validation/risk",
    "importance_cross_validation/effective_sample_size",
)


class ImportanceCrossValidation(Method):
    """Plans one stage: IWCV chooses a form of the weights, and the head is solved for under it (lu2021 §3.1).

    The full weights w are those of the recipe's other methods: `static_weights` in its `plain` form, and with
    `mean_one = false` where the form chosen here is relative, which depends on the scale. For every
    candidate the head is solved for on all folds but one, under tamed weights, and tested on that one under
    the full ones: the fold's risk (1/|F|) sum w l is unbiased for the test distribution's. The candidate of
    the lowest mean risk is solved for once more on everything. It is least squares, as in `least_squares`.

    `train.replicates` repeats everything on draws of its own: metrics are means over these, and their
    values an artefact, `replicates.json`. Logged: the candidate `chosen`, its `risk`, and the
    `effective_sample_size` under it. A stopped run starts over: it takes seconds.

    Args:
        form: `flattened`: w^gamma; `relative`: w / (alpha w + 1 - alpha).
        candidates: values of gamma, or of alpha, which are below 1.
        folds: parts that the training examples are cut into, at random.
        weighted: test folds under w; else plainly, which chooses for the training distribution.
    """

    def __init__(
        self,
        *,
        form: Literal["flattened", "relative"] = "flattened",
        candidates: list[Rate] = [0.0, 0.25, 0.5, 0.75, 1.0],  # noqa: B006  a recipe's default; never changed
        folds: Count = 5,
        weighted: bool = True,
    ) -> None:
        super().__init__()
        if not candidates:
            raise UserError("there is no candidate to choose", where=f"{WHERE}.candidates")
        if form == "relative" and max(candidates) == 1:
            raise UserError("alpha is below 1: at 1 all weights would be equal", where=f"{WHERE}.candidates")
        if folds == 1:
            raise UserError("one fold leaves nothing to train on", where=f"{WHERE}.folds")
        self.tame = flattened_weights if form == "flattened" else relative_weights
        self.candidates = candidates
        self.folds = folds
        self.weighted = weighted

    def setup(self, context: MethodContext) -> None:
        """Check that there is something to cut and to solve for.

        Raises:
            UserError: there are fewer examples than folds, or the model has no linear head.
        """
        linear_head(context.model, where=WHERE)
        if len(context.examples["train"]) < self.folds:
            raise UserError("there are fewer training examples than folds", where=f"{WHERE}.folds")

    def plan(self, run: Run) -> None:
        """Choose and solve in every replicate, and log the means.

        Raises:
            UserError: no other method gives weights.
            Stopped: the run was asked to stop.
        """

        def measure(part: Assembly) -> dict[str, Any]:
            return self._choose(part) | run.scores(part, Tick(STAGE, 0, 1, 1))[0]

        over_replicates(run, STAGE, measure)

    @torch.no_grad()
    def _choose(self, part: Assembly) -> dict[str, float]:
        """Put the solution under the chosen weights into the head and return what is logged of it."""
        objective, context = part.objective, part.context
        model, batch, start = objective.model, context.whole("train"), Tick(STAGE, 0, 1, 1)
        linear_head(model, where=WHERE)  # a method further down the recipe may have changed it
        classes = context.num_classes
        targets = F.one_hot(batch.y, classes).to(batch.x.dtype) if classes else batch.y[:, None]

        def losses_under(weights: Tensor) -> Tensor:
            solve_head(model, batch.x, targets, weights, where=WHERE)
            return objective.sample_losses(model(batch.x), batch, start)

        with evaluation_mode(model):
            plain = objective.sample_losses(model(batch.x), batch, start)
            full = objective.sample_weights(batch, plain, start)
            if full is None:
                raise UserError(
                    "there are no weights to choose a form of", where=WHERE, hint="Add static_weights."
                )
            fold = fold_of(len(batch), self.folds, seed_of(context.seed, WHERE)).to(full.device)
            tested = full if self.weighted else torch.ones_like(full)
            risks: list[float] = []
            for candidate in self.candidates:
                tamed = self.tame(full, candidate)
                held = [losses_under(tamed * (fold != number)) for number in range(self.folds)]
                risks.append(cross_validated_risk(held, tested, fold))
            chosen = int(np.argmin(risks))
            weights = self.tame(full, self.candidates[chosen])
            losses_under(weights)
        return {
            "importance_cross_validation/chosen": self.candidates[chosen],
            "importance_cross_validation/risk": risks[chosen],
            "importance_cross_validation/effective_sample_size": float(effective_sample_size(weights)),
        }


def fold_of(count: int, folds: int, seed: int) -> Tensor:
    """Return the fold of every example, (count,) int64; sizes differ by one at most."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    return torch.empty(count, dtype=torch.int64).scatter_(0, order, torch.arange(count) % folds)


def cross_validated_risk(losses: Sequence[Tensor], weights: Tensor, fold: Tensor) -> float:
    """Return the mean over folds of (1/|F|) sum_{i in F} w_i l_i (lu2021 §3.1).

    Args:
        losses: for each fold, the losses (N,) of the predictor that was fitted without it.
        weights: w, the full ones, (N,).
        fold: of each example, (N,).
    """
    risks = [
        weighted_risk(of_fold[fold == number], weights[fold == number])
        for number, of_fold in enumerate(losses)
    ]
    return float(torch.stack(risks).mean())


build = ImportanceCrossValidation
