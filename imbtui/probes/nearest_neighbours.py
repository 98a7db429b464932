"""How well other data is classified by its nearest labelled examples, among the network's frozen features."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from imbtui.engine.batch import Batch
from imbtui.engine.context import ProbeContext
from imbtui.engine.method import Probe
from imbtui.engine.ranks import is_main
from imbtui.engine.tick import Tick
from imbtui.errors import UserError
from imbtui.option_types import Count
from imbtui.probes._transfer import OtherTask, accuracies

WHERE = "probes.nearest_neighbours"
ROWS = 1024
METRICS = ("accuracy", "balanced_accuracy")


class NearestNeighbours(Probe):
    """A vote of the k labelled examples at the smallest cosine distance (kornblith2021 §4).

    `accuracy` and `balanced_accuracy` on the test examples of the other data, as in `linear_probe`; nothing
    is fitted. Measure it once: `every = "100%"`.

    Args:
        neighbours: k, at most the number of labelled examples.
        train: name of the labelled examples: what a data set has for probes, or a split of `dataset`.
        test: name of the test examples, likewise.
        dataset: a data set beside the run's own, whose images have the same shape; they are prepared as the
            run's own. Left out: the run's data set.
        dataset_options: its options.
    """

    def __init__(
        self,
        *,
        neighbours: Count = 5,
        train: str = "transfer_train",
        test: str = "transfer_test",
        dataset: str | None = None,
        dataset_options: dict[str, str | int | float | bool | list[int]] = {},  # noqa: B006  never changed
    ) -> None:
        self.neighbours = neighbours
        self.train = train
        self.test = test
        self.dataset = dataset
        self.dataset_options = dataset_options

    def setup(self, context: ProbeContext) -> None:
        """Find the other data.

        Raises:
            UserError: it is not there or too small, its images have another shape, or the model has no head.
        """
        self.task = OtherTask(context, self.train, self.test, self.dataset, self.dataset_options, where=WHERE)
        if self.neighbours > self.task.labelled_count:
            raise UserError(
                f"{self.neighbours} neighbours are asked of {self.task.labelled_count} labelled examples",
                where=f"{WHERE}.neighbours",
            )

    def measure(self, objective: nn.Module, batch: Batch, t: Tick) -> dict[str, float | list[float]]:
        """Return the values by name."""
        if not is_main():
            return {}
        (labelled, y), (unseen, unseen_y) = self.task.features(objective)
        return accuracies(vote(labelled, y, unseen, self.neighbours), unseen_y)


def vote(labelled: Tensor, labels: NDArray[np.int64], unseen: Tensor, neighbours: int) -> NDArray[np.int64]:
    """Return the most frequent label of the nearest examples by cosine distance, (M,) (kornblith2021 §4).

    Of equally frequent labels the one whose examples are nearer, by their summed cosines, is returned.

    Args:
        labelled: features (N, D).
        labels: (N,), from 0 on.
        unseen: features (M, D).
        neighbours: at most N.
    """
    directions = F.normalize(labelled, dim=1)
    one_hot = F.one_hot(torch.from_numpy(labels)).to(labelled.dtype)
    predicted = []
    for rows in F.normalize(unseen, dim=1).split(ROWS):
        cosines, nearest = (rows @ directions.T).topk(neighbours)
        members = one_hot[nearest]
        # A cosine weighs less than half a vote in all, so it decides between equal counts alone.
        closeness = (members * (1 + cosines).unsqueeze(2)).sum(1) / (4 * neighbours + 1)
        predicted.append((members.sum(1) + closeness).argmax(1))
    return torch.cat(predicted).numpy()


build = NearestNeighbours
