"""Regression metrics from sums over examples, kept on the device."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class RegressionMetrics:
    """Accumulates batches without waiting for the device; `compute` fetches everything at once.

    Args:
        device: where predictions will be.

    Attributes:
        state: `sums` (5,) float64: examples, squared errors, absolute errors, targets and their squares.
            Processes add theirs up before `compute`.
    """

    def __init__(self, *, device: torch.device | str = "cpu") -> None:
        self.state = {"sums": torch.zeros(5, dtype=torch.float64, device=device)}

    @torch.no_grad()
    def update(self, predictions: Tensor, targets: Tensor) -> None:
        """Add a batch.

        Args:
            predictions: (N, 1).
            targets: (N,) floating point.
        """
        wanted = targets.double()
        errors = predictions.squeeze(1).double() - wanted
        sums = (torch.ones_like(errors), errors.square(), errors.abs(), wanted, wanted.square())
        self.state["sums"] += torch.stack(sums).sum(1)

    def compute(self) -> dict[str, float]:
        """Return the metrics of all examples so far: NaN without any.

        `mse` and `mae`: mean squared and mean absolute error; `r2`: 1 - mse over the variance of the
        targets, NaN where they do not vary.
        """
        count, squares, absolutes, total, total_squares = self.state["sums"].tolist()
        if not count:
            return {"mse": math.nan, "mae": math.nan, "r2": math.nan}
        variance = total_squares / count - (total / count) ** 2
        mse = squares / count
        return {"mse": mse, "mae": absolutes / count, "r2": 1 - mse / variance if variance > 0 else math.nan}
