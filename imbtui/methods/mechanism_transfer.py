"""Regression from a few points of a domain, multiplied by the causal mechanism that other domains teach."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from imbtui.engine.context import MethodContext
from imbtui.engine.examples import Examples
from imbtui.engine.method import Method
from imbtui.engine.modes import evaluation_mode
from imbtui.engine.seeding import seed_of
from imbtui.engine.tick import Tick
from imbtui.errors import UserError
from imbtui.methods._head import solve_head
from imbtui.methods._replicates import over_replicates
from imbtui.numerics.mechanism import LinearMechanism, coordinate_combinations, inside_support
from imbtui.option_types import Count

if TYPE_CHECKING:
    from imbtui.engine.run import Assembly, Run

WHERE = "methods.mechanism_transfer"
STAGE = "train"
TASKS = ("regression",)
REPLICATES = True
Array = NDArray[np.float64]
METRICS = (
    "mechanism_transfer/accepted",
    "mechanism_transfer/converged",
    "mechanism_transfer/target_only_mse",
    "mechanism_transfer/target_only_log_mse",
    "mechanism_transfer/source_only_mse",
    "mechanism_transfer/source_only_log_mse",
    "mechanism_transfer/log_mse",
    "mechanism_transfer/better",
)


class MechanismTransfer(Method):
    """Causal mechanism transfer (lu2021 §3.7): plans one stage that ends in a least-squares fit of the head.

    The mechanism z = F(s) of points z = (x, y) is estimated by FastICA on the data set's `sources`, of all
    domains together. The sources of the target's training points are recombined coordinate by
    coordinate, mapped back, and the head is solved for on these points; the originals are among them only
    as recombinations of themselves.

    `train.replicates` repeats everything on draws of its own: metrics are means over these, and their
    values an artefact, `replicates.json`. For each, the same head is also solved for on the target's
    points alone and on the source points alone. Logged as `mechanism_transfer/<name>`: `log_mse` of the
    test, `target_only_mse`, `source_only_mse` and their `log_` forms, `better` (than target only, 0 or 1),
    `accepted` (share of points kept) and `converged` (of FastICA). A stopped run starts over.

    Args:
        reject: leave out points outside the support of the source points, by a one-class SVM.
        most: largest number of recombined points; where there are more, so many are drawn.
        iterations: most iterations of FastICA.
    """

    def __init__(self, *, reject: bool = False, most: Count = 10000, iterations: Count = 1000) -> None:
        super().__init__()
        self.reject = reject
        self.most = most
        self.iterations = iterations

    def setup(self, context: MethodContext) -> None:
        """Check that there are source domains.

        Raises:
            UserError: the data set has none.
        """
        if "sources" not in context.examples:
            raise UserError("the data set has no source domains", where=WHERE, hint="linear_sem has.")

    def plan(self, run: Run) -> None:
        """Transfer in every replicate and log the means.

        Raises:
            UserError: the model has no linear head, or no point is kept.
            Stopped: the run was asked to stop.
        """
        over_replicates(run, STAGE, lambda part: self._transfer(run, part))

    def _transfer(self, run: Run, part: Assembly) -> dict[str, float]:
        context = part.context
        target, sources = points_of(context.examples["train"]), points_of(context.examples["sources"])
        domains = context.examples["sources"].group
        assert domains is not None
        seed = seed_of(context.seed, "mechanism_transfer")
        mechanism = LinearMechanism(seed=seed, iterations=self.iterations).fit(sources, domains)
        recombined = mechanism.forward(
            coordinate_combinations(
                mechanism.inverse(target), most=self.most, rng=np.random.default_rng(seed)
            )
        )
        kept = inside_support(sources, recombined) if self.reject else np.isfinite(recombined).all(1)
        if not kept.any():
            raise UserError(
                "no recombined point lies in the support of the source points", where=f"{WHERE}.reject"
            )
        logs = {"accepted": float(kept.mean()), "converged": float(mechanism.converged)}
        for name, points in (("target_only_", target), ("source_only_", sources)):
            logs |= {name + key: value for key, value in self._test(run, part, points)[0].items()}
        own, scores = self._test(run, part, recombined[kept])
        logs |= {"log_mse": own["log_mse"], "better": float(own["mse"] < logs["target_only_mse"])}
        return {f"mechanism_transfer/{name}": value for name, value in logs.items()} | scores

    def _test(self, run: Run, part: Assembly, points: Array) -> tuple[dict[str, float], dict[str, float]]:
        """Solve for the head on the points; return mse and log_mse of the test, and all scores."""
        model = part.objective.model
        z = torch.from_numpy(points).to(part.context.device)
        dtype = next(model.parameters()).dtype
        with evaluation_mode(model):
            solve_head(model, z[:, :-1].to(dtype), z[:, -1:].to(dtype), where=WHERE)
        scores = run.scores(part, Tick(STAGE, 0, 1, 1))[0]
        mse = scores["test/mse"]
        return {"mse": mse, "log_mse": float(np.log(mse))}, scores


def points_of(examples: Examples) -> Array:
    """Return z = (x, y), (N, D + 1)."""
    return np.column_stack([examples.x.reshape(len(examples), -1), examples.targets]).astype(np.float64)


build = MechanismTransfer
