"""Importance weights estimated anew in every step, from losses on a small clean validation set."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from imbtui.engine.batch import Batch
from imbtui.engine.context import MethodContext
from imbtui.engine.method import Method
from imbtui.engine.modes import evaluation_mode
from imbtui.engine.seeding import seed_of
from imbtui.engine.tick import Tick
from imbtui.errors import UserError
from imbtui.methods._importance import drawn_positions, plain_losses, weight_logs
from imbtui.numerics.density_ratio import squared_distances
from imbtui.numerics.kernel_mean_matching import match_means, matching_programme
from imbtui.option_types import Count, Positive, When

WHERE = "methods.dynamic_weights"
TASKS = ("classification", "regression")
METRICS = (
    "running/effective_sample_size",
    "running/mean_weight",
    "running/max_weight",
    "running/corrupted_weight",
)


class DynamicWeights(Method):
    """Dynamic importance weighting (DIW): kernel mean matching within every batch (lu2021 §3.6).

    The losses of the batch, or its features class by class, are matched to those of a batch drawn with
    replacement from the validation set, in eval mode, on the training device. The validation set must
    come from the test distribution: set `dataset.validation`, which is not corrupted, and
    `train_on_validation = "also"` as the paper's code does.

    The weights need not average 1 (lu2021 §6.3); `loss.normalise` says what they are divided by. Each
    of several processes matches its own share of a batch. Logged: see `weight_logs`.

    Args:
        transform: what is matched: `loss`, or `features` of the last hidden layer, of equal classes only.
        gamma: coefficient of the squared distance in the kernel: `median`: 1 / (2 median^2);
            `quantile01_gamma`: the 1 % quantile of the distances itself, as in the released code, which
            makes an almost linear kernel (lu2021 §6.1).
        distances: taken within the training batch (`train`), between it and the validation batch
            (`train_validation`), or both within and between both (`pooled`).
        batch_size: validation examples in a step; None: as many as in the training batch.
        bound: largest weight.
        iterations: projected gradient steps.
        start_epoch: all weights are 1 before this point in time; 1 in the released code.
    """

    def __init__(
        self,
        *,
        transform: Literal["loss", "features"] = "loss",
        gamma: Literal["median", "quantile01_gamma"] = "median",
        distances: Literal["train", "train_validation", "pooled"] = "train_validation",
        batch_size: Count | None = None,
        bound: Positive = 50.0,
        iterations: Count = 100,
        start_epoch: When = 1,
    ) -> None:
        super().__init__()
        self.transform = transform
        self.gamma = gamma
        self.distances = distances
        self.batch_size = batch_size
        self.bound = bound
        self.iterations = iterations
        self.start_epoch = start_epoch
        self._context: MethodContext | None = None
        self._validation: Batch | None = None
        self._logs: dict[str, Tensor] = {}

    def setup(self, context: MethodContext) -> None:
        """Load the validation set.

        Raises:
            UserError: there is none, or the network has no features to match.
        """
        if "val" not in context.examples:
            raise UserError(
                "there is no validation set to match",
                where=WHERE,
                hint='Set dataset.validation, and train_on_validation = "also" to train on it too.',
            )
        if self.transform == "features" and not hasattr(context.model, "features"):
            raise UserError("the model has no features of a last hidden layer", where=f"{WHERE}.transform")
        self._context = context
        self._validation = context.whole("val")

    @torch.no_grad()
    def weights(self, batch: Batch, losses: Tensor, t: Tick) -> Tensor | None:
        """Return the weights of the batch's examples, (N,); None before the start."""
        if not t.reached(self.start_epoch):
            self._logs = weight_logs(torch.ones_like(losses), batch.is_corrupted)
            return None
        weights = self._matched(batch, t).to(losses.dtype)
        self._logs = weight_logs(weights, batch.is_corrupted)
        return weights

    def logs(self) -> dict[str, Tensor]:
        """Return figures of the last batch's weights."""
        return self._logs

    def _matched(self, batch: Batch, t: Tick) -> Tensor:
        assert self._context is not None
        assert self._validation is not None
        chosen = self._drawn(len(batch), t)
        y = torch.cat([batch.y, self._validation.y[chosen]])
        model = self._context.model
        x = torch.cat([batch.x, self._validation.x[chosen]])
        with evaluation_mode(model):
            if self.transform == "loss":
                represented = plain_losses(model(x), y)[:, None]
            else:
                represented = model.features(x).flatten(1)
        # Nearly equal losses make nearly equal kernel rows: half of the digits would be lost.
        own, other = represented.double().tensor_split([len(batch)])
        squares, cross = squared_distances(own, own), squared_distances(own, other)
        gamma = self._gamma(own, other, cross)
        train_kernel, cross_kernel = torch.exp(-gamma * squares), torch.exp(-gamma * cross)
        if self.transform == "features":
            train_kernel = train_kernel * (batch.y[:, None] == batch.y)
            cross_kernel = cross_kernel * (batch.y[:, None] == y[len(batch) :])
        return match_means(
            *matching_programme(train_kernel, cross_kernel), bound=self.bound, iterations=self.iterations
        )

    def _drawn(self, size: int, t: Tick) -> Tensor:
        """Return positions in the validation set, drawn with replacement by the step's number."""
        assert self._context is not None
        assert self._validation is not None
        seed = seed_of(self._context.seed, "dynamic_weights", t.stage, t.step)
        return drawn_positions(self._validation, self.batch_size or size, seed)

    def _gamma(self, own: Tensor, other: Tensor, cross: Tensor) -> Tensor:
        if self.distances == "train_validation":
            distances = cross.sqrt().flatten()
        else:
            distances = torch.pdist(own if self.distances == "train" else torch.cat([own, other]))
        return kernel_gamma(distances, self.gamma)


def kernel_gamma(distances: Tensor, rule: Literal["median", "quantile01_gamma"]) -> Tensor:
    """Return gamma of k = exp(-gamma d^2) from some distances (M,), () (lu2021 §6.1).

    `median`: 1 / (2 median^2), 1 where the median is 0. `quantile01_gamma`: the 1 % quantile itself.
    """
    if not len(distances):
        return distances.new_ones(())
    if rule == "quantile01_gamma":
        return distances.quantile(0.01)
    median = distances.median()
    return torch.where(median > 0, 0.5 / median.clamp_min(1e-30).square(), 1.0)


build = DynamicWeights
