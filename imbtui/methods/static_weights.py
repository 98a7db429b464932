"""Importance weights that are estimated once, before training: plain, flattened or relative."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from imbtui.engine.batch import Batch
from imbtui.engine.context import MethodContext
from imbtui.engine.method import Method
from imbtui.engine.seeding import seed_of
from imbtui.engine.tick import Tick
from imbtui.errors import UserError
from imbtui.methods._importance import inputs_of, shifted_inputs, weight_logs
from imbtui.numerics.density_ratio import (
    choose_centres,
    choose_width,
    gaussian_kernel,
    kliep_ratio,
    least_squares_ratio,
    median_distance,
)
from imbtui.numerics.importance_weights import flattened_weights, label_ratio, relative_weights
from imbtui.numerics.kernel_mean_matching import match_means, matching_programme
from imbtui.option_types import Count, Positive, Rate

WHERE = "methods.static_weights"
TASKS = ("classification", "regression")
MOST_MATCHED = 10000
METRICS = (
    "running/effective_sample_size",
    "running/mean_weight",
    "running/max_weight",
    "running/corrupted_weight",
)


class StaticWeights(Method):
    """Weights each training example by w = p_test / p_train, or a tamer form of it (lu2021 §3.1).

    Where the ratio comes from:

    - `known`: the data set knows it (toy_sinc).
    - `ulsif`, `rulsif`, `kliep`: a kernel model, width and ridge chosen by five-fold cross-validation
      (lu2021 §3.2, §3.4; KLIEP takes uLSIF's width). RuLSIF's ratio is relative already, by `alpha`.
    - `kmm`: kernel mean matching at the median distance (lu2021 §3.3).
    - `labels`: p_test(y) / p_train(y), from the labels of the validation set (class-prior shift, §2).
    - `clean`: 0 on examples that a corruption changed, else 1: what no method can know (the oracle of §8B).

    The kernel estimators compare training inputs with the data set's unlabelled test inputs, or with the
    validation set where it has none.

    Args:
        ratio: one of these.
        form: `plain`: w (IWERM). `flattened`: w^gamma (AIWERM). `relative`: w / (alpha w + 1 - alpha)
            (RIWERM), at most 1 / alpha.
        gamma: of `flattened`; 0 is no weighting, 1 is w.
        alpha: of `relative` and of `rulsif`; 0 is w.
        mean_one: divide by the mean, so that a learning rate keeps its meaning.
        centres: most kernel centres.
        bound: largest weight of `kmm`.
        iterations: gradient steps of `kmm`, fixed-point steps of `kliep`.
    """

    weight: Tensor

    def __init__(
        self,
        *,
        ratio: Literal["known", "ulsif", "rulsif", "kliep", "kmm", "labels", "clean"] = "ulsif",
        form: Literal["plain", "flattened", "relative"] = "plain",
        gamma: Rate = 0.5,
        alpha: Rate = 0.5,
        mean_one: bool = True,
        centres: Count = 100,
        bound: Positive = 1000.0,
        iterations: Count = 2000,
    ) -> None:
        super().__init__()
        if alpha == 1:
            raise UserError("alpha is below 1: at 1 all weights would be equal", where=f"{WHERE}.alpha")
        if form != "plain" and ratio == "rulsif":
            raise UserError("rulsif estimates the relative ratio itself; use it plain", where=f"{WHERE}.form")
        self.ratio: Literal["known", "ulsif", "rulsif", "kliep", "kmm", "labels", "clean"] = ratio
        self.form: Literal["plain", "flattened", "relative"] = form
        self.gamma = gamma
        self.alpha = alpha
        self.mean_one = mean_one
        self.centres = centres
        self.bound = bound
        self.iterations = iterations
        self._logs: dict[str, Tensor] = {}

    def setup(self, context: MethodContext) -> None:
        """Estimate the weight of every training example.

        Raises:
            UserError: the data set has not what the ratio is estimated from, or all weights are zero.
        """
        weights = self._ratio(context)
        if self.form == "flattened":
            weights = flattened_weights(weights, self.gamma)
        elif self.form == "relative":
            weights = relative_weights(weights, self.alpha)
        if not bool(weights.sum() > 0):
            raise UserError("all weights are zero", where=WHERE)
        if self.mean_one:
            weights = weights / weights.mean()
        self.register_buffer("weight", weights.to(context.device))

    def _ratio(self, context: MethodContext) -> Tensor:
        train = context.examples["train"]
        if self.ratio == "clean":
            return torch.from_numpy(~train.is_corrupted).double()
        if self.ratio == "known":
            if "ratio" not in context.examples:
                raise UserError(
                    "the data set does not know its density ratio",
                    where=f"{WHERE}.ratio",
                    hint="toy_sinc does.",
                )
            return torch.from_numpy(context.examples["ratio"].targets[train.index])
        if self.ratio == "labels":
            if not context.num_classes or "val" not in context.examples:
                raise UserError(
                    "there is no validation set with class labels to learn the test shares from",
                    where=f"{WHERE}.ratio",
                    hint="Set dataset.validation.",
                )
            wanted = torch.from_numpy(context.examples["val"].class_counts(context.num_classes))
            ratio = label_ratio(context.class_counts.cpu(), wanted)
            return ratio[torch.from_numpy(train.targets)]
        return self._estimate(context)

    def _estimate(self, context: MethodContext) -> Tensor:
        train = inputs_of(context, "train").double()
        test = shifted_inputs(context, where=f"{WHERE}.ratio").double()
        if self.ratio == "kmm":
            if len(train) > MOST_MATCHED:
                raise UserError(
                    f"kernel mean matching holds a matrix of {len(train)} x {len(train)} distances",
                    where=f"{WHERE}.ratio",
                    hint=f"It takes {MOST_MATCHED} training examples at most; use ulsif.",
                )
            sigma = median_distance(torch.cat([train, test]))
            programme = matching_programme(
                gaussian_kernel(train, train, sigma), gaussian_kernel(train, test, sigma)
            )
            return match_means(*programme, bound=self.bound, iterations=self.iterations)
        generator = torch.Generator().manual_seed(seed_of(context.seed, "static_weights"))
        alpha = self.alpha if self.ratio == "rulsif" else 0.0
        model = choose_width(
            train,
            test,
            choose_centres(test, self.centres, generator),
            alpha=alpha,
            generator=generator,
        )
        features, test_features = model.features(train), model.features(test)
        if self.ratio == "kliep":
            return features @ kliep_ratio(features, test_features, iterations=self.iterations)
        return features @ least_squares_ratio(features, test_features, ridge=model.ridge, alpha=alpha)

    def weights(self, batch: Batch, losses: Tensor, t: Tick) -> Tensor | None:
        """Return the weights of the batch's examples, (N,)."""
        weights = self.weight[batch.index].to(losses.dtype)
        self._logs = weight_logs(weights, batch.is_corrupted)
        return weights

    def logs(self) -> dict[str, Tensor]:
        """Return figures of the last batch's weights."""
        return self._logs


build = StaticWeights
