"""Errors of groups: the worst, the balanced one, and how differently a class's groups are treated."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from imbtui.engine.batch import Batch
from imbtui.engine.context import ProbeContext
from imbtui.engine.method import Probe
from imbtui.engine.ranks import sum_over_ranks
from imbtui.engine.tick import Tick
from imbtui.errors import UserError
from imbtui.numerics.groups import (
    balanced_error,
    cell_errors,
    equal_opportunity_difference,
    symmetric_deo,
    worst_error,
)
from imbtui.probes._model import evaluating, require_examples

WHERE = "probes.group_metrics"
METRICS = ("error", "worst_error", "worst_accuracy", "balanced_error", "deo", "symmetric_deo")


class GroupMetrics(Probe):
    """Runs the model over a split in evaluation mode (kini2021 §6). A subgroup is a label in a group.

    `error`: of each subgroup that has examples, by label and then by group; `worst_error` and
    `worst_accuracy`: of the subgroup with the largest error; `balanced_error`: the mean over subgroups;
    `deo`: difference of the errors of a label's groups, a value a label; `symmetric_deo`: its mean.

    Args:
        split: the split to measure on.
    """

    def __init__(self, *, split: Literal["test", "val", "train"] = "test") -> None:
        self.split = split

    def setup(self, context: ProbeContext) -> None:
        """Remember the split.

        Raises:
            UserError: the run has no such split, or the data set no groups.
        """
        require_examples(context, self.split, where=f"{WHERE}.split")
        group = context.examples[self.split].group
        if group is None:
            raise UserError("the data set has no groups", where=WHERE)
        self.groups = 1 + int(group.max(initial=0))
        self.context = context

    def measure(self, objective: nn.Module, batch: Batch, t: Tick) -> dict[str, float | list[float]]:
        """Return the values by name."""
        shape = self.context.num_classes, self.groups
        sums = torch.zeros(2, shape[0] * shape[1], dtype=torch.float64, device=self.context.device)
        with evaluating(objective) as model:
            for b in self.context.batches(self.split):
                assert b.group is not None
                member = F.one_hot(b.y * self.groups + b.group, shape[0] * shape[1]).double()
                wrong = (model(b.x).argmax(-1) != b.y).double()
                sums += torch.stack([wrong @ member, member.sum(0)])
        sum_over_ranks(sums)
        errors, totals = sums.cpu().numpy().reshape(2, *shape)
        cells = cell_errors(errors, totals)
        worst = worst_error(cells)
        return {
            "error": cells[~np.isnan(cells)].tolist(),
            "worst_error": worst,
            "worst_accuracy": 1 - worst,
            "balanced_error": balanced_error(cells),
            "deo": equal_opportunity_difference(cells).tolist(),
            "symmetric_deo": symmetric_deo(cells),
        }


build = GroupMetrics
