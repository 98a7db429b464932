"""What a linear classifier learns of other data from the network's frozen features."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from imbtui.engine.batch import Batch
from imbtui.engine.context import ProbeContext
from imbtui.engine.method import Probe
from imbtui.engine.ranks import is_main
from imbtui.engine.seeding import seed_of
from imbtui.engine.tick import Tick
from imbtui.errors import UserError
from imbtui.option_types import Positive, Rate
from imbtui.probes._transfer import OtherTask, accuracies

WHERE = "probes.linear_probe"
IMPORTS = ("sklearn.linear_model", "sklearn.model_selection")
ITERATIONS = 10_000
SHORTEST = 1e-12

Array = NDArray[np.float64]
METRICS = ("accuracy", "balanced_accuracy", "inverse_strength")


class LinearProbe(Probe):
    """L2-regularised multinomial logistic regression (L-BFGS) on what enters the head (kornblith2021 §4).

    `accuracy` and `balanced_accuracy` on the test examples of the other data, the latter the mean over
    classes that the Pets, Flowers and Cars data sets are judged by; `inverse_strength`: the chosen one.
    Measure it once: `every = "100%"`.

    Args:
        train: name of the labelled examples: what a data set has for probes, or a split of `dataset`.
        test: name of the test examples, likewise.
        dataset: a data set beside the run's own, whose images have the same shape; they are prepared as the
            run's own. Left out: the run's data set.
        dataset_options: its options.
        inverse_strengths: the values tried of C, the inverse of the regularisation strength; [] means 45
            from 1e-6 to 1e5, evenly on a logarithmic scale.
        choose: how C is chosen: on a share `validation` of the labelled examples, of which all are then
            fitted again; or `test`, the best test accuracy: too optimistic, though equally so for all runs.
        validation: that share.
        features: `l2`: each feature scaled to length 1; `standardised`: each unit to mean 0 and deviation 1
            over the labelled examples; `raw`. With few values of C, raw features measure their own scale.
    """

    def __init__(
        self,
        *,
        train: str = "transfer_train",
        test: str = "transfer_test",
        dataset: str | None = None,
        dataset_options: dict[str, str | int | float | bool | list[int]] = {},  # noqa: B006  never changed
        inverse_strengths: list[Positive] = [],  # noqa: B006  a recipe's default; never changed
        choose: Literal["validation", "test"] = "validation",
        validation: Rate = 0.2,
        features: Literal["l2", "standardised", "raw"] = "l2",
    ) -> None:
        self.train = train
        self.test = test
        self.dataset = dataset
        self.dataset_options = dataset_options
        self.inverse_strengths = inverse_strengths or np.logspace(-6, 5, 45).tolist()
        self.choose: Literal["validation", "test"] = choose
        self.validation = validation
        self.features: Literal["l2", "standardised", "raw"] = features

    def setup(self, context: ProbeContext) -> None:
        """Find the other data.

        Raises:
            UserError: it is not there, its images have another shape, or the model has no head.
        """
        self.seed = context.seed
        self.task = OtherTask(context, self.train, self.test, self.dataset, self.dataset_options, where=WHERE)

    def measure(self, objective: nn.Module, batch: Batch, t: Tick) -> dict[str, float | list[float]]:
        """Return the values by name."""
        if not is_main():
            return {}
        (labelled, y), (unseen, unseen_y) = self.task.features(objective)
        x, unseen_x = scaled(labelled, unseen, self.features)
        strengths = self.inverse_strengths if self.choose == "test" else [self._chosen(x, y)]
        fits = [(strength, fit(x, y, strength).predict(unseen_x)) for strength in strengths]
        strength, predicted = max(fits, key=lambda found: float(np.mean(found[1] == unseen_y)))
        return {**accuracies(predicted, unseen_y), "inverse_strength": strength}

    def _chosen(self, x: Array, y: NDArray[np.int64]) -> float:
        """Return the C with the best accuracy on a stratified share of the labelled examples."""
        from sklearn.model_selection import train_test_split

        seed = seed_of(self.seed, "linear probe") % 2**32
        try:
            own_x, held_x, own_y, held_y = train_test_split(
                x, y, test_size=self.validation, stratify=y, random_state=seed
            )
        except ValueError as error:
            raise UserError(
                f"a share of {self.validation:g} of {len(y)} labelled examples cannot be set aside class by "
                f"class: {error}",
                where=f"{WHERE}.validation",
            ) from error
        scores = [fit(own_x, own_y, c).score(held_x, held_y) for c in self.inverse_strengths]
        return self.inverse_strengths[int(np.argmax(scores))]


def fit(x: Array, y: NDArray[np.int64], inverse_strength: float) -> Any:
    """Return scikit-learn's multinomial logistic regression with L2 penalty, fitted (kornblith2021 §4).

    Args:
        x: features, (N, D).
        y: labels, (N,).
        inverse_strength: C.
    """
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=inverse_strength, max_iter=ITERATIONS).fit(x, y)


def scaled(train: Tensor, test: Tensor, way: str) -> tuple[Array, Array]:
    """Return features (N, D) and (M, D) scaled in the same way: `l2`, `standardised` or `raw`.

    A unit that is constant over the first is only shifted.
    """
    if way == "l2":
        train, test = (F.normalize(features, dim=1, eps=SHORTEST) for features in (train, test))
    elif way == "standardised":
        mean, deviation = train.mean(0), train.std(0, correction=0)
        deviation = torch.where(deviation > 0, deviation, 1.0)
        train, test = (train - mean) / deviation, (test - mean) / deviation
    return train.numpy(), test.numpy()


build = LinearProbe
