"""Importance weights estimated anew in every step, from losses on a small clean validation set."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from imbtui.engine.batch import Batch
from imbtui.engine.context import MethodContext
from imbtui.engine.modes import evaluation_mode
from imbtui.engine.tick import Tick
from imbtui.errors import UserError
from imbtui.methods._importance import BatchWeights, plain_losses
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


class DynamicWeights(BatchWeights):
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
        super().__init__(batch_size=batch_size, start_epoch=start_epoch, draws="dynamic_weights")
        self.transform = transform
        self.gamma = gamma
        self.distances = distances
        self.bound = bound
        self.iterations = iterations

    def setup(self, context: MethodContext) -> None:
        """Load the validation set.

        Raises:
            UserError: there is none, or the network has no features to match.
        """
        self.load_validation(context, purpose="match", where=WHERE)
        if self.transform == "features" and not hasattr(context.model, "features"):
            raise UserError("the model has no features of a last hidden layer", where=f"{WHERE}.transform")
        self._context = context

    @torch.no_grad()
    def weigh(self, batch: Batch, t: Tick) -> Tensor:
        """Return the weights under which the batch matches validation examples, (N,)."""
        assert self._context is not None
        model = self._context.model
        x, y = (torch.cat(pair) for pair in zip((batch.x, batch.y), self.drawn(len(batch), t), strict=True))
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
