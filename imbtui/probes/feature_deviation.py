"""Distance between training and test features of each class, plain and with class size taken out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imbtui.engine.batch import Batch
from imbtui.engine.context import ProbeContext
from imbtui.engine.method import Probe
from imbtui.engine.seeding import seed_of
from imbtui.engine.tick import Tick
from imbtui.errors import UserError
from imbtui.numerics.feature_deviation import controlled_deviation, feature_deviation, spearman
from imbtui.option_types import Count
from imbtui.probes._model import evaluating, features_and_logits, head_and_tail, head_of, over_split

METRICS = ("deviation", "controlled", "spearman", "head", "tail", "controlled_head", "controlled_tail")


class FeatureDeviation(Probe):
    """Features are what enters the model's head, in evaluation mode, on unaugmented examples (ye2020 §6).

    `deviation`: of each class; `spearman`: its rank correlation with the training examples of the class;
    `head`, `tail`: means over the most and least frequent classes. `controlled`, `controlled_head`,
    `controlled_tail`: the same with equally many training features of every class; classes with fewer
    are left out (null). Look at both: the mean of a small class is noisy whatever its features are.

    Args:
        subset: training features of each class that the controlled value averages.
        repeats: random subsets of them.
        ends: how many classes make up head and tail each, at most half.
    """

    def __init__(self, *, subset: Count = 2, repeats: Count = 50, ends: Count = 3) -> None:
        self.subset = subset
        self.repeats = repeats
        self.ends = ends

    def setup(self, context: ProbeContext) -> None:
        """Remember the data.

        Raises:
            UserError: the model has no head whose input could be looked at.
        """
        if head_of(context.model) is None:
            raise UserError("the model has no linear or cosine head", where="probes.feature_deviation")
        self.context = context

    def measure(self, objective: nn.Module, batch: Batch, t: Tick) -> dict[str, float | list[float]]:
        """Return the values by name."""
        with evaluating(objective) as model:
            (train, train_y), (test, test_y) = (self._features(model, split) for split in ("train", "test"))
        counts, classes = self.context.class_counts.cpu(), self.context.num_classes
        plain = feature_deviation(train, train_y, test, test_y, classes)
        controlled = controlled_deviation(
            train,
            train_y,
            test,
            test_y,
            classes,
            size=self.subset,
            repeats=self.repeats,
            generator=torch.Generator().manual_seed(seed_of(self.context.seed, "feature deviation")),
        )
        head, tail = head_and_tail(counts, self.ends)
        return {
            "deviation": plain.tolist(),
            "controlled": controlled.tolist(),
            "spearman": spearman(plain, counts.double()),
            "head": float(plain[head].nanmean()),
            "tail": float(plain[tail].nanmean()),
            "controlled_head": float(controlled[head].nanmean()),
            "controlled_tail": float(controlled[tail].nanmean()),
        }

    def _features(self, model: nn.Module, split: str) -> tuple[Tensor, Tensor]:
        features, targets = over_split(
            self.context, split, lambda b: (features_and_logits(model, b.x)[0], b.y)
        )
        return features.double().cpu(), targets.cpu()


build = FeatureDeviation
