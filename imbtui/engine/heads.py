"""The last layer of every classifier: linear, with batch norm, cosine to a direction a class, one score."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imbtui.errors import UserError

SHORTEST = 1e-6
"""Vectors are divided by their norm, or by this where it is smaller (kornblith2021 §2)."""


class LinearHead(nn.Linear):
    """A linear layer over features of which some are dropped while training (kornblith2021 §2).

    What enters it are the features before the dropout; those kept are scaled up.

    Args:
        in_features: width of the feature.
        num_classes: number of classes.
        dropout: probability that a feature is dropped.
    """

    def __init__(self, in_features: int, num_classes: int, *, dropout: float) -> None:
        super().__init__(in_features, num_classes)
        self.dropout = dropout

    def forward(self, features: Tensor) -> Tensor:
        """Map features (N, in_features) to logits (N, num_classes)."""
        return super().forward(F.dropout(features, self.dropout, self.training))


class CosineHead(nn.Module):
    """Logits are cosines between the feature and one weight direction a class (cao2019 §2.1).

    Weights are drawn uniform(-1, 1) and normalised to unit columns. By default there is no bias and no
    scale: losses that need one (LDAM's s) carry it themselves, and the output range is [-1, 1]. The cosine
    softmax of kornblith2021 §2 is cross-entropy of this head with a temperature and a bias.

    Args:
        in_features: width of the feature.
        num_classes: number of classes.
        temperature: divides the cosines.
        bias: add a bias for each class, at first 0.
        compat: `released`: features enter as they are, and the bias is divided by the temperature too.
        dropout: probability that a feature is dropped while training.
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        temperature: float = 1.0,
        bias: bool = False,
        compat: str = "paper",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        weight = torch.empty(in_features, num_classes).uniform_(-1, 1)
        self.weight = nn.Parameter(F.normalize(weight, dim=0))
        self.bias = nn.Parameter(torch.zeros(num_classes)) if bias else None
        self.temperature = temperature
        self.compat = compat
        self.dropout = dropout

    def forward(self, features: Tensor) -> Tensor:
        """Map features (N, in_features) to logits (N, num_classes)."""
        if self.dropout:
            features = F.dropout(features, self.dropout, self.training)
        as_released = self.compat == "released"
        return cosine_logits(features, self.weight, self.bias, self.temperature, as_released=as_released)


class BinaryHead(nn.Module):
    """One score z for two classes: the logits (0, z), whose cross-entropy is the sigmoid's of z.

    Args:
        in_features: width of the feature.
        dropout: probability that a feature is dropped while training.
    """

    def __init__(self, in_features: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.score = _linear(in_features, 1, dropout)

    def forward(self, features: Tensor) -> Tensor:
        """Map features (N, in_features) to logits (N, 2)."""
        return F.pad(self.score(features), (1, 0))


def cosine_logits(
    features: Tensor, weight: Tensor, bias: Tensor | None, temperature: float, *, as_released: bool = False
) -> Tensor:
    """Return cos(h_i, w_k) / temperature + b_k, (N, K) (kornblith2021 §2, cao2019 §2.1).

    Args:
        features: h, (N, D).
        weight: one column a class, (D, K).
        bias: b, (K,), or None for none.
        temperature: above 0.
        as_released: (h_i . w_k / ||w_k|| + b_k) / temperature instead: the stored releases normalise the
            weights only.
    """
    directions = F.normalize(weight, dim=0, eps=SHORTEST)
    if not as_released:
        cosines = F.normalize(features, dim=1, eps=SHORTEST) @ directions
        scaled = cosines if temperature == 1 else cosines / temperature
        return scaled if bias is None else scaled + bias
    projections = features @ directions
    return (projections if bias is None else projections + bias) / temperature


def make_head(
    kind: str,
    in_features: int,
    num_classes: int,
    *,
    dropout: float = 0.0,
    temperature: float = 1.0,
    bias: bool = False,
    compat: str = "paper",
) -> nn.Module:
    """Return a fresh head.

    Args:
        kind: `linear` (torch's default init); `cosine`; `batch_norm`: linear, then batch norm of each
            output, for losses of unbounded outputs (patrini2017 §2.3); `binary`: one score for two classes.
        in_features: width of the feature.
        num_classes: number of classes.
        dropout: probability that a feature is dropped while training.
        temperature, bias, compat: of a cosine head.

    Raises:
        UserError: a binary head for other than two classes.
    """
    if kind == "binary":
        if num_classes != 2:
            raise UserError(
                f"a binary head tells two classes apart, and there are {num_classes}", where="model.head"
            )
        return BinaryHead(in_features, dropout=dropout)
    if kind == "cosine":
        return CosineHead(
            in_features, num_classes, temperature=temperature, bias=bias, compat=compat, dropout=dropout
        )
    linear = _linear(in_features, num_classes, dropout)
    return nn.Sequential(linear, nn.BatchNorm1d(num_classes)) if kind == "batch_norm" else linear


def _linear(in_features: int, outputs: int, dropout: float) -> nn.Linear:
    return LinearHead(in_features, outputs, dropout=dropout) if dropout else nn.Linear(in_features, outputs)


@torch.no_grad()
def draw_head_(head: nn.Module, std: float) -> None:
    """Draw a head's weights from N(0, std^2) anew, biases 0, in place (kornblith2021 §3)."""
    for layer in head.modules():
        if isinstance(layer, nn.Linear | CosineHead):
            nn.init.normal_(layer.weight, std=std)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
