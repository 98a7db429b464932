"""Estimate the label noise's transition matrix from a network trained on it, then correct and retrain."""

from __future__ import annotations

import copy
import json
import sys
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imbtui.engine.context import MethodContext
from imbtui.engine.method import Method
from imbtui.engine.ranks import sum_over_ranks
from imbtui.engine.tick import Tick
from imbtui.errors import UserError
from imbtui.numerics.transition import anchors, estimate_transition, overfiltered_classes, row_l1_error
from imbtui.option_types import Positive

if TYPE_CHECKING:
    from imbtui.engine.run import Run

NAME = "estimate_transition"
WHERE = f"methods.{NAME}"
ESTIMATE, TRANSITION, CORRECTED = "estimate", "transition", "corrected"
STAGES = ("train", "estimate", "transition", "corrected")
METRICS = ("estimate_transition/matrix", "estimate_transition/error")


@runtime_checkable
class Correctable(Protocol):
    """A loss that is corrected for a transition matrix.

    Attributes:
        takes_estimate: whether the matrix is left to be estimated.
        estimator: name of the method that is going to.
    """

    takes_estimate: bool
    estimator: str

    def correct_for(self, transition: Tensor) -> None:
        """Use this matrix (K, K) from now on."""
        ...


class EstimateTransition(Method):
    """Plans the stages `estimate` (cross-entropy) and `corrected` (the recipe's loss) (patrini2017 §4).

    After the first, the network predicts all training inputs, those set aside for validation too. For each
    class one confident example, its anchor, is chosen; the probabilities predicted for it are the class's
    row of the matrix. The second stage starts from the network's initial weights and has the recipe's
    length. With a loss whose `transition` is not "estimated" the run trains as always, in one stage, and
    the matrix is only measured.

    The matrix is kept in artifacts/transition.json (`estimated`, `true` where the label noise is known,
    `anchors`) and logged as `estimate_transition/matrix`; `estimate_transition/error` is the mean over rows
    of the summed absolute differences to the true one (§9).

    Args:
        percentile: examples at or above this percentile of a class's probabilities are passed over as
            anchors; 100: none are. Keep it at 100 where a class has few examples (§7.3).
        weights: the network that predicts: that of the `best` epoch of the first stage, by the metric
            `train.select_on` of the validation examples, or the `last`.
    """

    def __init__(self, *, percentile: Positive = 97.0, weights: Literal["best", "last"] = "best") -> None:
        super().__init__()
        if percentile > 100:
            raise UserError("a percentile is at most 100", where=f"{WHERE}.percentile")
        self.percentile = percentile
        self.best_weights = weights == "best"
        self.retrains = False

    def setup(self, context: MethodContext) -> None:
        """Look whether the loss waits for the matrix, and tell it that it will come.

        Raises:
            UserError: the best epoch is asked for, and there are no validation examples.
        """
        if self.best_weights and "val" not in context.examples:
            raise UserError(
                "there are no validation examples to choose the best epoch by",
                where=f"{WHERE}.weights",
                hint='Set dataset.validation, or weights = "last".',
            )
        if isinstance(context.loss, Correctable) and context.loss.takes_estimate:
            context.loss.estimator = NAME
            self.retrains = True

    def stages(self) -> list[str]:
        """Return the names of the stages in the order `plan` runs them."""
        return [ESTIMATE, CORRECTED] if self.retrains else ["train"]

    def plan(self, run: Run) -> None:
        """Train, estimate, and train again with the corrected loss.

        Raises:
            UserError: the loss cannot be corrected for the estimate.
        """
        objective = run.objective
        if not self.retrains:
            run.fit("train")
            self._estimate(run, "train")
            return
        initial = copy.deepcopy(objective.state_dict())
        start, objective.start_epoch = objective.start_epoch, "100%"  # plain cross-entropy to the end
        run.fit(ESTIMATE)
        objective.start_epoch = start
        if not run.load_finished(TRANSITION, objective):
            matrix = self._estimate(run, ESTIMATE)
            objective.load_state_dict(initial)
            assert isinstance(objective.loss, Correctable)
            objective.loss.correct_for(torch.from_numpy(matrix))
            # A stage without steps: the matrix outlives the weights that it was read from.
            run.finish_stage(TRANSITION, Tick(TRANSITION, -1, run.steps_per_epoch, run.steps), objective)
        run.fit(CORRECTED)

    def _estimate(self, run: Run, stage: str) -> NDArray[np.float64]:
        """Return the matrix as the network of this stage tells it, having logged and kept it."""
        if self.best_weights and (best := run.checkpoints.best(stage)) is not None:
            run.objective.load_state_dict(best["objective"])
        posteriors = self._posteriors(run)
        chosen = anchors(posteriors, self.percentile)
        matrix = estimate_transition(posteriors, self.percentile)
        self._tell(run, posteriors, matrix)
        true = run.context.examples["train"].transition
        kept: dict[str, Any] = {"estimated": matrix.tolist(), "anchors": chosen.tolist()}
        values: dict[str, Any] = {f"{NAME}/matrix": matrix.tolist()}
        if true is not None:
            kept["true"] = true.tolist()
            values[f"{NAME}/error"] = row_l1_error(matrix, true)
        run.note(stage, run.steps, values)
        run.keep("transition.json", json.dumps(kept).encode())
        return matrix

    @torch.no_grad()
    def _posteriors(self, run: Run) -> NDArray[np.float64]:
        """Return the network's probabilities for all training inputs, (N, K), validation ones last."""
        context = run.context
        run.objective.eval()
        parts = []
        for split in ("train", "val"):
            if split not in context.examples:
                continue
            size = len(context.examples[split]), context.num_classes
            part = torch.zeros(size, dtype=torch.float64, device=context.device)
            for batch in context.batches(split):
                probabilities = run.objective.model(batch.x).double().softmax(-1)
                part[batch.index] = probabilities.mean(0) if probabilities.dim() == 3 else probabilities
            sum_over_ranks(part)
            parts.append(part.cpu().numpy())
        run.objective.train()
        return np.concatenate(parts)

    def _tell(self, run: Run, posteriors: NDArray[np.float64], matrix: NDArray[np.float64]) -> None:
        """Print the matrix into the log, and which classes the percentile may have been too strict for."""
        if not run.is_main:
            return
        print("Estimated transition matrix, rows clean and columns noisy:", file=sys.stderr)
        for row in matrix:
            print(" ".join(f"{value:5.3f}" for value in row), file=sys.stderr)
        if rare := overfiltered_classes(posteriors, self.percentile):
            classes = ", ".join(map(str, rare))
            print(
                f"The percentile {self.percentile:g} passes over as many examples as are predicted to be "
                f"of class {classes}; their rows are unreliable.",
                file=sys.stderr,
            )


build = EstimateTransition
