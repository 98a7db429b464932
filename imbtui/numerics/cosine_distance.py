"""How far a vector of parameters has turned (thilak2022)."""

from __future__ import annotations

import torch
from torch import Tensor


def cosine_distance(a: Tensor, b: Tensor) -> Tensor:
    """Return 1 - cos(a, b) of two tensors seen as vectors, () float64 (thilak2022 §5)."""
    return 1 - torch.nn.functional.cosine_similarity(a.flatten().double(), b.flatten().double(), dim=0)
