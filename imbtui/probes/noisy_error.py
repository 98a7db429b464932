"""The error that a test set with the training set's label noise would show."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from imbtui.engine.batch import Batch
from imbtui.engine.context import ProbeContext
from imbtui.engine.method import Probe
from imbtui.engine.tick import Tick
from imbtui.errors import UserError
from imbtui.numerics.ensembles import predicted_classes
from imbtui.probes._model import evaluating, over_split, require_examples

METRICS = ("error",)


class NoisyError(Probe):
    """Expects each label of a clean split to be turned as those of the training set were (nakkiran2019 §2).

    `error`: the mean probability that the noisy label is not the predicted class. Nothing is drawn, so it
    is what an endless noisy split would show. `test/error` is the error on clean labels beside it.

    Args:
        split: the split to measure on; its labels are clean.
    """

    def __init__(self, *, split: Literal["test", "val"] = "test") -> None:
        self.split = split

    def setup(self, context: ProbeContext) -> None:
        """Remember the noise.

        Raises:
            UserError: the run has no such split, or no label noise.
        """
        require_examples(context, self.split, where="probes.noisy_error.split")
        transition = context.examples["train"].transition
        if transition is None:
            raise UserError(
                "the training labels have no noise", where="probes.noisy_error", hint="Add label_noise."
            )
        self.transition = torch.from_numpy(transition)
        self.context = context

    def measure(self, objective: nn.Module, batch: Batch, t: Tick) -> dict[str, float | list[float]]:
        """Return the error by name."""
        with evaluating(objective) as model:
            classes, targets = over_split(
                self.context, self.split, lambda b: (predicted_classes(model(b.x)), b.y)
            )
        return {"error": expected_noisy_error(classes.cpu(), targets.cpu(), self.transition)}


def expected_noisy_error(classes: Tensor, targets: Tensor, transition: Tensor) -> float:
    """Return 1 - mean T[y, prediction] (nakkiran2019 §2, `test_error_noisy`).

    Args:
        classes: predictions, (N,) int64.
        targets: clean labels y, (N,) int64.
        transition: T, (K, K); row i: what the clean label i becomes.
    """
    return 1 - float(transition[targets, classes].mean())


build = NoisyError
