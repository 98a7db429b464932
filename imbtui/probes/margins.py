"""Decision values and margins of each class, and how far rare classes fall behind common ones."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from imbtui.engine.batch import Batch
from imbtui.engine.context import ProbeContext
from imbtui.engine.method import Probe
from imbtui.engine.tick import Tick
from imbtui.option_types import Count
from imbtui.probes._model import evaluating, head_and_tail, over_split, require_examples

METRICS = (
    "decision",
    "margin",
    "smallest",
    "head_decision",
    "tail_decision",
    "head_margin",
    "tail_margin",
    "ratio",
)


class Margins(Probe):
    """Runs the model over a split in evaluation mode; all values come from the raw logits z.

    `decision`: mean z_y over the examples of each class (ye2020 §6); `margin`: mean of z_y minus the
    largest other logit; `smallest`: the smallest such margin of each class. `head_decision`,
    `tail_decision`, `head_margin`, `tail_margin`: means over the most and least frequent classes.
    `ratio`: the smallest margin of the rarest class over that of the largest (kini2021 §6).

    Args:
        split: the split to measure on.
        ends: how many classes make up head and tail each, at most half.
    """

    def __init__(self, *, split: Literal["test", "val", "train"] = "test", ends: Count = 3) -> None:
        self.split = split
        self.ends = ends

    def setup(self, context: ProbeContext) -> None:
        """Remember the split.

        Raises:
            UserError: the run has no such split.
        """
        require_examples(context, self.split, where="probes.margins.split")
        self.context = context

    def measure(self, objective: nn.Module, batch: Batch, t: Tick) -> dict[str, float | list[float]]:
        """Return the values by name."""
        with evaluating(objective) as model:
            logits, targets = over_split(self.context, self.split, lambda b: (model(b.x), b.y))
        targets = targets.cpu()
        of_target, margins = decision_values(logits.double().cpu(), targets)
        classes = [targets == label for label in range(self.context.num_classes)]
        decision = torch.stack([of_target[own].mean() for own in classes])
        margin = torch.stack([margins[own].mean() for own in classes])
        smallest = torch.stack(
            [margins[own].min() if own.any() else margins.new_tensor(torch.nan) for own in classes]
        )
        head, tail = head_and_tail(self.context.class_counts, self.ends)
        return {
            "decision": decision.tolist(),
            "margin": margin.tolist(),
            "smallest": smallest.tolist(),
            "head_decision": float(decision[head].nanmean()),
            "tail_decision": float(decision[tail].nanmean()),
            "head_margin": float(margin[head].nanmean()),
            "tail_margin": float(margin[tail].nanmean()),
            "ratio": float(smallest[tail[-1]] / smallest[head[0]]),
        }


def decision_values(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return z_y and z_y - max_{j != y} z_j, each (N,) (ye2020 §6, kini2021 §6).

    Args:
        logits: z, (N, K).
        targets: y, (N,) int64.
    """
    of_target = logits.gather(1, targets.unsqueeze(1)).squeeze(1)
    others = logits.scatter(1, targets.unsqueeze(1), -torch.inf)
    return of_target, of_target - others.amax(1)


build = Margins
