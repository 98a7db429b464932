"""A Gaussian-process output layer over random features, with the covariance of its weights."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from imbtui.engine.objective import full_precision
from imbtui.engine.ranks import sum_over_ranks
from imbtui.numerics.gaussian_process import (
    class_precisions,
    factor_of,
    feature_precision,
    mean_field_logits,
    moving_precision,
    predictive_variance,
    random_directions,
    random_fourier_features,
    random_offsets,
)

Covariance = Literal["exact", "momentum", "per_class"]


class GaussianProcessHead(nn.Module):
    """Logits are phi(h) beta^T without bias; in `eval()` they are adjusted by their variance (liu2020 §2-4).

    While training, and as long as the covariance is not of the present weights, they are not adjusted.

    Args:
        width: of the features h that enter.
        num_classes: K.
        generator: draws everything, on the CPU.
        dtype: of features and logits; the precision is float64.
        features: D, random features.
        orthogonal, feature_std: how their frozen directions are drawn.
        length_scale: h is divided by it.
        scale_features: scale features by sqrt(2 / D).
        normalize_input: layer-normalise h first.
        covariance: which form of the precision.
        momentum: of the moving average.
        ridge: r.
        mean_field: f; below 0: no adjustment.
    """

    directions: Tensor
    offsets: Tensor
    precision: Tensor
    fitted: Tensor

    def __init__(
        self,
        width: int,
        num_classes: int,
        generator: torch.Generator,
        *,
        dtype: torch.dtype,
        features: int,
        orthogonal: bool,
        feature_std: float,
        length_scale: float,
        scale_features: bool,
        normalize_input: bool,
        covariance: Covariance,
        momentum: float,
        ridge: float,
        mean_field: float,
    ) -> None:
        super().__init__()
        directions = random_directions(features, width, generator, orthogonal=orthogonal)
        self.register_buffer("directions", (feature_std * directions).to(dtype))
        self.register_buffer("offsets", random_offsets(features, generator).to(dtype))
        self.norm = nn.LayerNorm(width, dtype=dtype) if normalize_input else nn.Identity()
        self.beta = nn.Linear(features, num_classes, bias=False, dtype=dtype)
        reach = features**-0.5
        with torch.no_grad():
            self.beta.weight.copy_(
                torch.empty(num_classes, features).uniform_(-reach, reach, generator=generator)
            )
        self.length_scale = length_scale
        self.scale_features = scale_features
        self.covariance: Covariance = covariance
        self.momentum = momentum
        self.ridge = ridge
        self.mean_field = mean_field
        shape = (num_classes, features, features) if covariance == "per_class" else (features, features)
        self.register_buffer("precision", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("fitted", torch.zeros((), dtype=torch.float64))
        self._factor: Tensor | None = None
        self._sum: Tensor | None = None
        self.register_load_state_dict_post_hook(_forget_factor)

    def features(self, h: Tensor) -> Tensor:
        """Map what enters, (N, width), to random features phi, (N, D)."""
        h = self.norm(h.to(self.directions.dtype)) / self.length_scale
        return random_fourier_features(h, self.directions, self.offsets, scale=self.scale_features)

    def forward(self, h: Tensor) -> Tensor:
        """Map what enters, (N, width), to logits (N, num_classes)."""
        with full_precision(h.device.type):  # cosines of large angles mean nothing in half precision
            phi = self.features(h)
            logits: Tensor = self.beta(phi)
            if self._sum is not None:
                self._collect(phi, logits)
            elif self.training:
                self._follow(phi.detach())
            else:
                logits = mean_field_logits(logits, self.fitted * self._variance(phi), self.mean_field)
            return logits

    def predictive_variance(self, h: Tensor) -> Tensor:
        """Return the variance of the logits of what enters, (N, width): (N,), or (N, K) by class."""
        return self._variance(self.features(h))

    def begin_fit(self) -> None:
        """Sum the precision of everything that enters from now on, until `end_fit`."""
        self._sum = torch.zeros_like(self.precision)

    def end_fit(self) -> None:
        """Take the sum over all processes as the precision, which is then that of the present weights."""
        assert self._sum is not None
        sum_over_ranks(self._sum)
        self.precision.copy_(self._sum)
        self.fitted.fill_(1)
        self._sum = self._factor = None

    def _collect(self, phi: Tensor, logits: Tensor) -> None:
        assert self._sum is not None
        if self.covariance == "per_class":
            self._sum += class_precisions(phi, logits.softmax(1))
        else:
            self._sum += feature_precision(phi)

    def _follow(self, phi: Tensor) -> None:
        """Note a training pass: a moving average takes it in, a fitted precision is out of date."""
        self._factor = None
        if self.covariance != "momentum":
            self.fitted.zero_()
            return
        total, count = feature_precision(phi), phi.new_full((), len(phi), dtype=torch.float64)
        sum_over_ranks(total, count)
        self.precision.copy_(moving_precision(self.precision, total, count, self.momentum))
        self.fitted.fill_(1)

    def _variance(self, phi: Tensor) -> Tensor:
        if self._factor is None:
            self._factor = factor_of(self.precision, self.ridge)
        return predictive_variance(phi, self._factor, self.ridge)


def _forget_factor(head: nn.Module, keys: Any) -> None:
    assert isinstance(head, GaussianProcessHead)
    head._factor = None
