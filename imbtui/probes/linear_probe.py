"""What a linear classifier learns of other data from the network's frozen features."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from imbtui import paths
from imbtui.engine.batch import Batch
from imbtui.engine.data import load_splits
from imbtui.engine.examples import Examples
from imbtui.engine.method import Context, Probe
from imbtui.engine.seeding import seed_of
from imbtui.engine.tick import Tick
from imbtui.errors import UserError, did_you_mean
from imbtui.option_types import Positive, Rate
from imbtui.probes._model import evaluating, features_and_logits, head_of, is_main, require_examples

WHERE = "probes.linear_probe"
IMPORTS = ("sklearn.linear_model", "sklearn.model_selection")
ITERATIONS = 10_000
SHORTEST = 1e-12

Array = NDArray[np.float64]


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

    def setup(self, context: Context) -> None:
        """Find the other data.

        Raises:
            UserError: it is not there, its images have another shape, or the model has no head.
        """
        if head_of(context.model) is None:
            raise UserError("the model has no linear or cosine head", where=WHERE)
        if self.dataset is None:
            for key, name in (("train", self.train), ("test", self.test)):
                require_examples(context, name, where=f"{WHERE}.{key}", hint=self._hint(context))
            self.labelled, self.unseen = context.examples[self.train], context.examples[self.test]
        else:
            self.labelled, self.unseen = self._elsewhere(context, self.dataset)
        if len(np.unique(self.labelled.targets)) < 2:
            raise UserError("the labelled examples are all of one class", where=f"{WHERE}.train")
        self.context = context

    def _hint(self, context: Context) -> str:
        known = [name for name in context.examples if name != "train"]
        return f"It has {', '.join(known)}; or name another data set: probes.linear_probe.dataset."

    def _elsewhere(self, context: Context, name: str) -> tuple[Examples, Examples]:
        splits = load_splits(
            name, self.dataset_options, paths.data_root(), seed=context.seed, where=f"{WHERE}.dataset"
        )
        known = {"train": splits.train, "test": splits.test, **splits.extra}
        if splits.val is not None:
            known["val"] = splits.val
        chosen = []
        for key, part in (("train", self.train), ("test", self.test)):
            if part not in known:
                raise UserError(
                    f'the data set "{name}" has no examples "{part}"',
                    where=f"{WHERE}.{key}",
                    hint=did_you_mean(part, list(known)),
                )
            chosen.append(known[part])
            own, other = context.examples["train"].x.shape[1:], known[part].x.shape[1:]
            if own != other:
                raise UserError(
                    f'images of "{name}" are {_shape(other)} and those of the run {_shape(own)}',
                    where=f"{WHERE}.dataset",
                )
        return chosen[0], chosen[1]

    def measure(self, objective: nn.Module, batch: Batch, t: Tick) -> dict[str, float | list[float]]:
        """Return the values by name."""
        if not is_main():
            return {}
        assert self.context.batches_of is not None
        with evaluating(objective) as model:
            x, y = _features(model, self.context.batches_of(self.labelled))
            test_x, test_y = _features(model, self.context.batches_of(self.unseen))
        x, test_x = scaled(x, test_x, self.features)
        if self.choose == "test":
            fits = [(c, fit(x, y, c)) for c in self.inverse_strengths]
        else:
            fits = [(c := self._chosen(x, y), fit(x, y, c))]
        strength, best = max(fits, key=lambda pair: float(np.mean(pair[1].predict(test_x) == test_y)))
        right = best.predict(test_x) == test_y
        by_class = [float(right[test_y == label].mean()) for label in np.unique(test_y)]
        return {
            "accuracy": float(right.mean()),
            "balanced_accuracy": float(np.mean(by_class)),
            "inverse_strength": strength,
        }

    def _chosen(self, x: Array, y: NDArray[np.int64]) -> float:
        """Return the C with the best accuracy on a stratified share of the labelled examples."""
        from sklearn.model_selection import train_test_split

        seed = seed_of(self.context.seed, "linear probe") % 2**32
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


def _features(model: nn.Module, batches: Iterable[Batch]) -> tuple[Tensor, NDArray[np.int64]]:
    """Return features (N, D) float64 on the CPU and labels (N,)."""
    pairs = [(features_and_logits(model, b.x)[0].double().cpu(), b.y.cpu()) for b in batches]
    return torch.cat([f for f, _ in pairs]), torch.cat([y for _, y in pairs]).numpy()


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "files"


build = LinearProbe
