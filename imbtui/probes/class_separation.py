"""How far apart the classes lie in the penultimate layer: the share of cosine distance between classes."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from imbtui.engine.batch import Batch
from imbtui.engine.context import ProbeContext
from imbtui.engine.method import Probe
from imbtui.engine.ranks import sum_over_ranks
from imbtui.engine.tick import Tick
from imbtui.errors import UserError
from imbtui.numerics.class_separation import class_separation, direction_sums, mean_distances
from imbtui.option_types import Count
from imbtui.probes._model import evaluating, features_and_logits, head_and_tail, head_of, require_examples

WHERE = "probes.class_separation"
METRICS = ("r2", "within", "total", "head", "tail")


class ClassSeparation(Probe):
    """R^2 of kornblith2021 §5 over what enters the model's head, in evaluation mode; classes weigh the same.

    `r2`: 1 - `within` / `total`, the mean cosine distances within classes and in all; `head`, `tail`: r2
    among the most and the least frequent training classes alone. Near 1 compare 1 - r2: it saturates on
    small data.

    Args:
        split: the split to measure on; its given labels count.
        ends: how many classes make up head and tail each, at most half and at least two, or there is none.
    """

    def __init__(self, *, split: Literal["train", "val", "test"] = "train", ends: Count = 3) -> None:
        self.split = split
        self.ends = ends

    def setup(self, context: ProbeContext) -> None:
        """Remember the data.

        Raises:
            UserError: the run has no such split, or the model no head whose input could be looked at.
        """
        require_examples(context, self.split, where=f"{WHERE}.split")
        if head_of(context.model) is None:
            raise UserError("the model has no linear or cosine head", where=WHERE)
        self.context = context

    def measure(self, objective: nn.Module, batch: Batch, t: Tick) -> dict[str, float | list[float]]:
        """Return the values by name."""
        context = self.context
        sums: torch.Tensor | None = None
        counts = torch.zeros(context.num_classes, dtype=torch.float64, device=context.device)
        with evaluating(objective) as model:
            for b in context.batches(self.split):
                added, number = direction_sums(features_and_logits(model, b.x)[0], b.y, context.num_classes)
                sums = added if sums is None else sums + added
                counts += number
            if sums is None:  # another process has all examples
                width = features_and_logits(model, batch.x[:1])[0].shape[1]
                sums = counts.new_zeros(len(counts), width)
        sum_over_ranks(sums, counts)
        within, total_distance = mean_distances(sums, counts)
        values: dict[str, float | list[float]] = {
            "r2": class_separation(sums, counts),
            "within": within,
            "total": total_distance,
        }
        groups = head_and_tail(context.class_counts.cpu(), self.ends)
        for name, classes in zip(("head", "tail"), groups, strict=True):
            if len(classes) > 1:
                values[name] = class_separation(sums[classes], counts[classes])
        return values


build = ClassSeparation
