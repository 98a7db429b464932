"""Distance awareness in one network: spectral normalisation and a Gaussian-process output layer (liu2020)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch import nn

from imbtui.engine.batch import Batch
from imbtui.engine.context import MethodContext
from imbtui.engine.method import Method
from imbtui.engine.seeding import seed_of
from imbtui.errors import UserError
from imbtui.methods._gaussian_process import GaussianProcessHead
from imbtui.methods._mc_dropout import without_sampling
from imbtui.methods._spectral_norm import hidden_layers, normalise_layers, shapes_entering
from imbtui.option_types import Count, Positive, Rate

WHERE = "methods.sngp"


class SNGP(Method):
    """Bounds the spectral norm of hidden weights and puts a Gaussian process in the place of the head.

    Hidden weights are W min(1, c / sigma) (§1). The head is a random-feature Gaussian process (§2) whose
    covariance is fitted before every evaluation, in a pass over the training set at the weights as they
    are, without dropout, summed over processes (§3). In evaluation, logits are z / sqrt(1 + f var) (§4).
    The precision is part of the checkpoint.

    An ensemble comes first: each of its networks gets norms and a head of its own.

    `scale_features`, `ridge`, `mean_field` and `feature_std` belong together: with features scaled a ridge
    of 1e-3 and f = pi/8; without, a ridge of 1, f around 10 and a deviation of 0.05 (liu2020, gotchas).

    Args:
        spectral_norm: bound hidden weights.
        bound: c. 0.95 in the reference layer, 6 for wide residual networks, 0.9 for two moons.
        iterations: power iterations a training pass.
        through_sigma: let gradients flow through sigma, which else counts as a constant.
        gaussian_process: replace the head; else it stays.
        features: random features D.
        random_features: how their frozen directions are drawn.
        feature_std: deviation of these.
        length_scale: what enters the head is divided by it.
        normalize_input: layer-normalise what enters the head; takes its length away, which carries
            distance, and with it the meaning of a length scale.
        scale_features: scale features by sqrt(2 / D).
        covariance: `exact`: sum of phi phi^T. `per_class`: weighted by p (1 - p), for every class; with
            ridge 1 the paper's form; takes 8 K D^2 bytes. `momentum`: a moving average over training
            batches instead of a pass of its own; it depends on the batch size.
        momentum: of the moving average.
        ridge: r, added to the precision before it is inverted; also a factor of the variance.
        mean_field: f; below 0: logits are not adjusted.
        augmented: augment the training examples that the covariance is fitted to.
    """

    def __init__(
        self,
        *,
        spectral_norm: bool = True,
        bound: Positive = 0.95,
        iterations: Count = 1,
        through_sigma: bool = False,
        gaussian_process: bool = True,
        features: Count = 1024,
        random_features: Literal["gaussian", "orthogonal"] = "gaussian",
        feature_std: Positive = 1.0,
        length_scale: Positive = 1.0,
        normalize_input: bool = False,
        scale_features: bool = True,
        covariance: Literal["exact", "momentum", "per_class"] = "exact",
        momentum: Rate = 0.999,
        ridge: Positive = 1e-3,
        mean_field: float = 0.39269908169872414,
        augmented: bool = False,
    ) -> None:
        super().__init__()
        if normalize_input and length_scale != 1:
            raise UserError(
                "what enters the head is layer-normalised, so a length scale means nothing",
                where=f"{WHERE}.length_scale",
                hint="Leave it out, or set normalize_input = false.",
            )
        if not spectral_norm and not gaussian_process:
            raise UserError("both parts are switched off", where=WHERE)
        self.spectral_norm = spectral_norm
        self.bound = bound
        self.iterations = iterations
        self.through_sigma = through_sigma
        self.gaussian_process = gaussian_process
        self.augmented = augmented
        self.covariance: Literal["exact", "momentum", "per_class"] = covariance
        self.head_options: dict[str, Any] = {
            "features": features,
            "orthogonal": random_features == "orthogonal",
            "feature_std": feature_std,
            "length_scale": length_scale,
            "scale_features": scale_features,
            "normalize_input": normalize_input,
            "momentum": momentum,
            "ridge": ridge,
            "mean_field": mean_field,
        }

    def setup(self, context: MethodContext) -> None:
        """Normalise the hidden layers and replace the heads.

        Raises:
            UserError: the model has no hidden layer, or no linear head.
        """
        self.context = context
        if self.spectral_norm:
            self._normalise(context)
        if self.gaussian_process:
            self._replace_heads(context)

    def _normalise(self, context: MethodContext) -> None:
        layers = list(hidden_layers(context.model))
        if not layers:
            raise UserError(
                "the model has no hidden layer whose norm could be bounded",
                where=f"{WHERE}.spectral_norm",
                hint="Use another model, or spectral_norm = false.",
            )
        dtype = layers[0].weight.dtype
        shapes = shapes_entering(
            context.model, layers, torch.zeros(1, *context.input_shape, device=context.device, dtype=dtype)
        )
        normalise_layers(
            shapes,
            torch.Generator().manual_seed(seed_of(context.seed, "sngp", "singular vectors")),
            bound=self.bound,
            iterations=self.iterations,
            through_sigma=self.through_sigma,
        )

    def _replace_heads(self, context: MethodContext) -> None:
        heads = [name for name, _ in context.model.named_modules() if name.rpartition(".")[2] == "head"]
        if not heads:
            raise UserError(
                "another method has put something without a head in the place of the model", where=WHERE
            )
        for number, name in enumerate(heads):
            head = context.model.get_submodule(name)
            if type(head) is not nn.Linear:
                raise UserError(
                    "a Gaussian process takes the place of a linear head, and the model has another one",
                    where=WHERE,
                    hint='Use model.head = "linear", no head_dropout, and no method that changes the head.',
                )
            made = GaussianProcessHead(
                head.in_features,
                head.out_features,
                torch.Generator().manual_seed(seed_of(context.seed, "sngp", "head", number)),
                dtype=head.weight.dtype,
                covariance=self.covariance,
                **self.head_options,
            )
            parent = context.model.get_submodule(name.rpartition(".")[0])
            parent.head = made.to(head.weight.device)

    @torch.no_grad()
    def before_evaluation(self) -> None:
        """Fit the covariance of every head to the training set, unless it is that of the present weights."""
        model = without_sampling(self.context.model)
        heads = [m for m in model.modules() if isinstance(m, GaussianProcessHead)]
        if self.covariance == "momentum" or all(bool(head.fitted) for head in heads):
            return
        training = model.training
        model.eval()
        for head in heads:
            head.begin_fit()
        for batch in self._training_batches():
            model(batch.x)
        for head in heads:
            head.end_fit()
        model.train(training)

    def _training_batches(self) -> Iterable[Batch]:
        if self.augmented:
            return self.context.epoch(0)
        return self.context.batches("train")


build = SNGP
