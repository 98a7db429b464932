"""Labelled and unseen examples of another task, and the network's features of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from imbtui import paths
from imbtui.engine.batch import Batch
from imbtui.engine.context import ProbeContext
from imbtui.engine.data import load_splits
from imbtui.engine.examples import Examples
from imbtui.errors import UserError, did_you_mean
from imbtui.probes._model import evaluating, features_and_logits, head_of, require_examples

Labelled = tuple[Tensor, NDArray[np.int64]]


class OtherTask:
    """What a probe learns from, and what it is tested on.

    Args:
        context: the run.
        train: name of the labelled examples: what the run's data set has for probes, or a split of `dataset`.
        test: name of the test examples, likewise.
        dataset: a data set beside the run's own; None: the run's.
        options: its options.
        where: the probe in the recipe, for messages.

    Raises:
        UserError: the examples are not there, or have another shape than the run's; there is only one class
            of them; the model has no head whose input could be looked at.
    """

    def __init__(
        self,
        context: ProbeContext,
        train: str,
        test: str,
        dataset: str | None,
        options: Mapping[str, Any],
        *,
        where: str,
    ) -> None:
        if head_of(context.model) is None:
            raise UserError("the model has no linear or cosine head", where=where)
        self._context = context
        names = {"train": train, "test": test}
        if dataset is None:
            hint = (
                f"It has {', '.join(n for n in context.examples if n != 'train')}; or name another data set."
            )
            for key, name in names.items():
                require_examples(context, name, where=f"{where}.{key}", hint=hint)
            parts = [context.examples[name] for name in names.values()]
        else:
            parts = _elsewhere(context, names, dataset, options, where)
        self._labelled, self._unseen = parts
        if len(np.unique(self._labelled.targets)) < 2:
            raise UserError("the labelled examples are all of one class", where=f"{where}.train")

    @property
    def labelled_count(self) -> int:
        """How many labelled examples there are."""
        return len(self._labelled)

    def features(self, objective: nn.Module) -> tuple[Labelled, Labelled]:
        """Return what enters the head, (N, D) float64 on the CPU, and labels (N,), of both parts."""
        with evaluating(objective) as model:
            labelled = _features(model, self._context.batches_of(self._labelled))
            unseen = _features(model, self._context.batches_of(self._unseen))
        return labelled, unseen


def accuracies(predicted: NDArray[np.int64], labels: NDArray[np.int64]) -> dict[str, float | list[float]]:
    """Return `accuracy`, and `balanced_accuracy`, its mean over classes."""
    right = predicted == labels
    by_class = [float(right[labels == label].mean()) for label in np.unique(labels)]
    return {"accuracy": float(right.mean()), "balanced_accuracy": float(np.mean(by_class))}


def _elsewhere(
    context: ProbeContext, names: Mapping[str, str], dataset: str, options: Mapping[str, Any], where: str
) -> list[Examples]:
    splits = load_splits(dataset, options, paths.data_root(), seed=context.seed, where=f"{where}.dataset")
    known = {"train": splits.train, "test": splits.test, **splits.extra}
    if splits.val is not None:
        known["val"] = splits.val
    chosen = []
    for key, name in names.items():
        if name not in known:
            raise UserError(
                f'the data set "{dataset}" has no examples "{name}"',
                where=f"{where}.{key}",
                hint=did_you_mean(name, list(known)),
            )
        own, other = context.examples["train"].x.shape[1:], known[name].x.shape[1:]
        if own != other:
            raise UserError(
                f'images of "{dataset}" are {_shape(other)} and those of the run {_shape(own)}',
                where=f"{where}.dataset",
            )
        chosen.append(known[name])
    return chosen


def _features(model: nn.Module, batches: Iterable[Batch]) -> Labelled:
    pairs = [(features_and_logits(model, b.x)[0].double().cpu(), b.y.cpu()) for b in batches]
    return torch.cat([f for f, _ in pairs]), torch.cat([y for _, y in pairs]).numpy()


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "files"
