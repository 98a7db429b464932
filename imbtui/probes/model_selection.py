"""What each of several models scores on each test set, and what the one picked by a named rule scores."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imbtui.engine.batch import Batch
from imbtui.engine.context import ProbeContext
from imbtui.engine.method import Probe
from imbtui.engine.tick import Tick
from imbtui.errors import UserError
from imbtui.numerics.model_selection import picked, working
from imbtui.option_types import Rate
from imbtui.probes._model import evaluating, require_examples, require_members

WHERE = "probes.model_selection"
METRICS = (
    "mean",
    "oracle",
    "validation",
    "one_model",
    "in_distribution",
    "working",
    "lowest/test",
    "mean/*",
    "oracle/*",
    "validation/*",
    "one_model/*",
    "in_distribution/*",
    "members/*",
)


class ModelSelection(Probe):
    """For a model with members, such as that of the method `diversity` (teney2022 §Model selection).

    A rule picks a model for each set; `<rule>/<set>` is its accuracy there and `<rule>` the mean over the
    sets. Rules: `oracle`, the best on the very set, an upper limit that cannot be deployed; `validation`,
    the best on every other example of the set, scored on the rest; `one_model`, the one with the best mean
    over the sets; `in_distribution`, the best on the validation split, or on the test split where there is
    none. `mean` picks none and averages over the models.

    `members/<set>` lists the models' accuracies, also on the test split; `mean/test` and `lowest/test` are
    of the models that are counted, and `working` tells how many these are.

    Args:
        sets: names of the sets; none: all further examples that the data set offers.
        exclude_below: models with a lower accuracy on the split of `in_distribution` are not counted by any
            rule: the best of many failed models is above chance by chance. Where all fail, all are counted.
    """

    def __init__(self, *, sets: list[str] = [], exclude_below: Rate = 0.8) -> None:  # noqa: B006  never changed
        self.sets = sets
        self.exclude_below = exclude_below

    def setup(self, context: ProbeContext) -> None:
        """Choose the sets.

        Raises:
            UserError: there are no examples of a name, no further ones at all, or the model has no members.
        """
        for name in self.sets:
            require_examples(context, name, where=f"{WHERE}.sets")
        further = [name for name in context.examples if name not in ("train", "val", "test")]
        self.names = self.sets or further
        if not self.names:
            raise UserError("the data set offers no further test sets", where=f"{WHERE}.sets")
        self.guide = "val" if "val" in context.examples else "test"
        self.context = context
        require_members(context, "test", where=WHERE, hint="Add the method diversity.")

    def measure(self, objective: nn.Module, batch: Batch, t: Tick) -> dict[str, float | list[float]]:
        """Return the values by name."""
        with evaluating(objective) as model:
            test, guide = self._correct(model, "test"), self._correct(model, self.guide)
            correct = {name: self._correct(model, name) for name in self.names}
        values: dict[str, float | list[float]] = {
            f"members/{name}": right.mean(1).tolist() for name, right in {**correct, "test": test}.items()
        }
        counted = working(guide.mean(1), self.exclude_below)
        in_distribution = guide.mean(1)[counted]
        sets = [right[counted] for right in correct.values()]
        accuracy = torch.stack([right.mean(1) for right in sets])
        first, second = (torch.stack([right[:, half::2].mean(1) for right in sets]) for half in (0, 1))
        for rule, scores in {
            "mean": accuracy.mean(1),
            "oracle": picked(accuracy, accuracy),
            "validation": picked(second, first),
            "one_model": picked(accuracy, accuracy.mean(0)),
            "in_distribution": picked(accuracy, in_distribution),
        }.items():
            values[rule] = float(scores.mean())
            values |= {f"{rule}/{n}": s for n, s in zip(self.names, scores.tolist(), strict=True)}
        own = test.mean(1)[counted]
        return {
            **values,
            "mean/test": float(own.mean()),
            "lowest/test": float(own.min()),
            "working": float(counted.sum()),
        }

    def _correct(self, model: nn.Module, name: str) -> Tensor:
        """Return which model is right at which example, (M, N) float64; the same on every process."""
        whole = self.context.whole(name)
        return (model(whole.x).argmax(-1) == whole.y).double()


build = ModelSelection
