"""Accuracy, likelihood and calibration on corrupted test images: CIFAR-10-C and sets laid out like it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from imbtui import files, paths
from imbtui.engine.batch import Batch
from imbtui.engine.context import ProbeContext
from imbtui.engine.examples import Examples
from imbtui.engine.method import Probe
from imbtui.engine.ranks import is_main
from imbtui.engine.tick import Tick
from imbtui.errors import UserError
from imbtui.numerics.classification import ClassificationMetrics
from imbtui.numerics.ensembles import joint_logits
from imbtui.option_types import NonNegativeInt
from imbtui.probes._model import evaluating

WHERE = "probes.common_corruptions"
METRICS = ("accuracy", "nll", "ece", "accuracy_{severities}", "nll_{severities}", "ece_{severities}")
MEASURED = ("accuracy", "nll", "ece")
SEVERITIES = 5
BENCHMARK = (
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "defocus_blur",
    "glass_blur",
    "motion_blur",
    "zoom_blur",
    "snow",
    "frost",
    "fog",
    "brightness",
    "contrast",
    "elastic_transform",
    "pixelate",
    "jpeg_compression",
)
"""The fifteen corruptions of Hendrycks and Dietterich 2019; the files have four more for validation."""


class CommonCorruptions(Probe):
    """Evaluates on every corruption at every severity and averages over these sets (liu2020, data).

    `accuracy`, `nll` (natural logarithm) and `ece` (15 bins), each the mean over all sets, and over those of
    one severity (`ece_5`). The files are those of CIFAR-10-C: one array a corruption, `<name>.npy`, of the
    test images at severities 1 to 5 one after another, and their labels, `labels.npy`. They are read set by
    set.

    Args:
        folder: where they lie, under the data root; CIFAR-100-C for CIFAR-100.
        corruptions: which; []: the fifteen of the benchmark.
        severities: which, from 1 to 5.
        most: images of a set, from its beginning; 0: all.
    """

    def __init__(
        self,
        *,
        folder: str = "CIFAR-10-C",
        corruptions: list[str] = [],  # noqa: B006  a recipe's default; never changed
        severities: list[Literal[1, 2, 3, 4, 5]] = [1, 2, 3, 4, 5],  # noqa: B006
        most: NonNegativeInt = 0,
    ) -> None:
        if not severities:
            raise UserError("there is no severity to measure", where=f"{WHERE}.severities")
        self.folder = folder
        self.corruptions = corruptions or list(BENCHMARK)
        self.severities = severities
        self.most = most

    def setup(self, context: ProbeContext) -> None:
        """Make sure that the files are there and fit the run.

        Raises:
            UserError: they do not, or are damaged.
        """
        self.context = context
        self.root = paths.data_root() / self.folder
        for name in self.corruptions:
            self._set(name, self.severities[0])

    def measure(self, objective: nn.Module, batch: Batch, t: Tick) -> dict[str, float | list[float]]:
        """Return the values by name."""
        if not is_main():
            return {}
        found: dict[str, list[float]] = {}
        with evaluating(objective) as model:
            for severity in self.severities:
                for name in self.corruptions:
                    for metric, value in self._scores(model, self._set(name, severity)).items():
                        found.setdefault(metric, []).append(value)
                        found.setdefault(f"{metric}_{severity}", []).append(value)
        return {name: float(np.mean(values)) for name, values in found.items()}

    def _scores(self, model: nn.Module, examples: Examples) -> dict[str, float]:
        counts = self.context.class_counts
        metrics = ClassificationMetrics(self.context.num_classes, counts, device=counts.device)
        for batch in self.context.batches_of(examples):
            metrics.update(joint_logits(model(batch.x)), batch.y)
        computed = metrics.compute()
        return {name: float(torch.as_tensor(computed[name])) for name in MEASURED}

    def _set(self, name: str, severity: int) -> Examples:
        """Return the test images under one corruption at one severity.

        Raises:
            UserError: a file is missing, damaged, or of other images than the run's.
        """
        file = f"{name}.npy"
        images, labels = self._array(file), self._array("labels.npy")
        if labels.ndim != 1 or len(images) != len(labels) or len(labels) % SEVERITIES:
            raise UserError(
                f"{self._printed(file)} holds {len(images)} images and labels.npy {len(labels)} labels",
                where=WHERE,
                hint="They come in five equal parts, one a severity.",
            )
        own, other = self.context.examples["test"].x.shape[1:], images.shape[1:]
        if own != other or labels.max() >= self.context.num_classes:
            raise UserError(
                f"{self._printed(file)} has images of shape {other} and {labels.max() + 1} classes; "
                f"the run has images of shape {own} and {self.context.num_classes} classes",
                where=f"{WHERE}.folder",
            )
        size = len(labels) // SEVERITIES
        first = (severity - 1) * size
        part = slice(first, first + (min(self.most, size) if self.most else size))
        return Examples.of(np.array(images[part]), labels[part].astype(np.int64))

    def _array(self, file: str) -> NDArray:
        path = self.root / file
        if not path.is_file():
            raise UserError(
                f"there is no {self._printed(file)}",
                where=f"{WHERE}.corruptions" if self.root.is_dir() else f"{WHERE}.folder",
                hint="Unpack the benchmark's archive there; it cannot be fetched.",
            )
        try:
            return np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise UserError(f"{self._printed(file)} is damaged: {error}", where=WHERE) from error

    def _printed(self, file: str) -> str:
        return files.printable(str(Path(self.root) / file))


build = CommonCorruptions
