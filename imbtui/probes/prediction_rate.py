"""Share of points that are assigned to one class: on the test set, on other classes, on random images."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imbtui.engine.batch import Batch
from imbtui.engine.context import ProbeContext
from imbtui.engine.method import Probe
from imbtui.engine.tick import Tick
from imbtui.errors import UserError
from imbtui.option_types import NonNegativeInt
from imbtui.probes._model import evaluating, over_split, require_examples

WHERE = "probes.prediction_rate"
METRICS = ("{sets}",)


class PredictionRate(Probe):
    """The read-out of byrd2019 §6: what class weights still change, seen away from the training data.

    A value a set of examples, by its name: `test`, and what the data set offers besides, such as
    `other_classes` and `noise`.

    Args:
        label: the class that is counted.
        sets: names of the examples to look at; none: the test set and all further ones.
    """

    def __init__(self, *, label: NonNegativeInt = 1, sets: list[str] = []) -> None:  # noqa: B006  never changed
        self.label = label
        self.sets = sets

    def setup(self, context: ProbeContext) -> None:
        """Choose the sets.

        Raises:
            UserError: there is no such class, or no examples of a name.
        """
        if self.label >= context.num_classes:
            raise UserError(f"there is no class {self.label}", where=f"{WHERE}.label")
        for name in self.sets:
            require_examples(context, name, where=f"{WHERE}.sets")
        self.names = self.sets or [name for name in context.examples if name not in ("train", "val")]
        self.context = context

    def measure(self, objective: nn.Module, batch: Batch, t: Tick) -> dict[str, float | list[float]]:
        """Return the share of points assigned to the class, by set."""
        shares = []
        with evaluating(objective) as model:
            for name in self.names:
                (predicted,) = over_split(self.context, name, lambda b: (model(b.x).argmax(-1),))
                shares.append(assigned_share(predicted, self.label))
        return dict(zip(self.names, torch.stack(shares).tolist(), strict=True))


def assigned_share(predicted: Tensor, label: int) -> Tensor:
    """Return the share of points that are assigned to a class, a scalar (byrd2019 §6).

    The weight effect, or spread, of a ratio r is this share under r:1 minus that under 1:r.

    Args:
        predicted: classes, (N,) int64.
        label: the class.
    """
    return (predicted == label).double().mean()


build = PredictionRate
