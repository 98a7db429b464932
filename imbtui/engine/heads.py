"""The last layer of every classifier: linear, linear with batch norm, or cosine to one direction a class."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HEADS = ("linear", "cosine", "batch_norm")


class CosineHead(nn.Module):
    """Logits are cosines between the feature and one weight direction a class (cao2019 §2.1).

    Weights are drawn uniform(-1, 1) and normalised to unit columns; there is no bias and no scale:
    losses that need one (LDAM's s) carry it themselves. Output range [-1, 1].

    Args:
        in_features: width of the feature.
        num_classes: number of classes.
    """

    def __init__(self, in_features: int, num_classes: int) -> None:
        super().__init__()
        weight = torch.empty(in_features, num_classes).uniform_(-1, 1)
        self.weight = nn.Parameter(F.normalize(weight, dim=0))

    def forward(self, features: Tensor) -> Tensor:
        """Map features (N, in_features) to cosines (N, num_classes)."""
        return F.normalize(features, dim=1) @ F.normalize(self.weight, dim=0)


def make_head(kind: str, in_features: int, num_classes: int) -> nn.Module:
    """Return a fresh head.

    Args:
        kind: `linear` (torch's default init); `cosine`; `batch_norm`: linear, then batch norm of each
            output, for losses of unbounded outputs (patrini2017 §2.3).
        in_features: width of the feature.
        num_classes: number of classes.
    """
    if kind == "cosine":
        return CosineHead(in_features, num_classes)
    linear = nn.Linear(in_features, num_classes)
    return nn.Sequential(linear, nn.BatchNorm1d(num_classes)) if kind == "batch_norm" else linear
