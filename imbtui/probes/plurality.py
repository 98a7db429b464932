"""What the members of an ensemble say together, beside what each says alone."""

from __future__ import annotations

from typing import Literal

from torch import nn

from imbtui.engine.batch import Batch
from imbtui.engine.context import ProbeContext
from imbtui.engine.method import Probe
from imbtui.engine.tick import Tick
from imbtui.numerics.ensembles import plurality
from imbtui.probes._model import evaluating, over_split, require_examples, require_members

METRICS = ("error", "member_error", "gain")


class Plurality(Probe):
    """Counts the votes of the members of a model that has some (nakkiran2019 §6).

    `error`: of the class that most members predict; `member_error`: the members' mean error; `gain`: how
    much lower the first is.

    Args:
        split: the split to measure on.
    """

    def __init__(self, *, split: Literal["test", "val", "train"] = "test") -> None:
        self.split = split

    def setup(self, context: ProbeContext) -> None:
        """Remember the split.

        Raises:
            UserError: the run has no such split, or the model no members.
        """
        require_examples(context, self.split, where="probes.plurality.split")
        self.context = context
        require_members(context, self.split, where="probes.plurality", hint="Add the method ensemble.")

    def measure(self, objective: nn.Module, batch: Batch, t: Tick) -> dict[str, float | list[float]]:
        """Return the values by name."""
        with evaluating(objective) as model:
            by_example, targets = over_split(
                self.context, self.split, lambda b: (model(b.x).argmax(-1).T, b.y)
            )
        votes = by_example.T
        error = float((plurality(votes, self.context.num_classes) != targets).double().mean())
        member_error = float((votes != targets).double().mean())
        return {"error": error, "member_error": member_error, "gain": member_error - error}


build = Plurality
