"""How alike the input gradients of the members of a model are: whether they look at the same features."""

from __future__ import annotations

from typing import Literal

import orjson
import torch
from torch import nn

from imbtui.engine.batch import Batch
from imbtui.engine.context import ProbeContext
from imbtui.engine.log import row_position
from imbtui.engine.method import Probe
from imbtui.engine.tick import Tick
from imbtui.numerics.gradient_alignment import alignment_penalty, alignments, input_gradients
from imbtui.option_types import Count
from imbtui.probes._model import evaluating, first_examples, require_examples, require_members

WHERE = "probes.gradient_alignment"
MATRIX = "gradient_alignment.json"
METRICS = ("cosine", "cosine_squared")


class GradientAlignment(Probe):
    """Cosines of input gradients of members, such as those of `diversity` (teney2022 §Method).

    `cosine` and `cosine_squared`: means over pairs of different members and over examples. The mean cosine
    of each pair is kept as a matrix in artifacts/gradient_alignment.json.

    Args:
        split: the examples.
        examples: at most so many of them, the first.
    """

    def __init__(self, *, split: Literal["test", "val", "train"] = "test", examples: Count = 500) -> None:
        self.split = split
        self.examples = examples

    def setup(self, context: ProbeContext) -> None:
        """Choose the examples.

        Raises:
            UserError: the run has no such split, or the model no members.
        """
        require_examples(context, self.split, where=f"{WHERE}.split")
        require_members(context, self.split, where=WHERE, hint="Add the method diversity.")
        self.x, _ = first_examples(context, self.split, self.examples)
        self.context = context

    def measure(self, objective: nn.Module, batch: Batch, t: Tick) -> dict[str, float | list[float]]:
        """Return both means, and keep the matrix."""
        with evaluating(objective) as model, torch.enable_grad():
            x = self.x.detach().requires_grad_()
            gradients = input_gradients(model(x), x)
        step, epoch = row_position(t)
        names = [f"model {number}" for number in range(len(gradients))]
        document = {
            "stage": t.stage,
            "step": step,
            "epoch": epoch,
            "rows": "models",
            "columns": "models",
            "row_names": names,
            "column_names": names,
            "matrices": {"mean cosine of input gradients": alignments(gradients, "cos").mean(-1).tolist()},
        }
        self.context.keep(MATRIX, orjson.dumps(document))
        return {
            "cosine": float(alignment_penalty(gradients, "cos")),
            "cosine_squared": float(alignment_penalty(gradients, "cos_sq")),
        }


build = GradientAlignment
