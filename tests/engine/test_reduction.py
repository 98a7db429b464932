"""What the weighted sum of sample losses is divided by."""

from __future__ import annotations

import pytest
import torch

from imbtui.engine.objective import reduce_losses

LOSSES = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
WEIGHTS = torch.tensor([2.0, 2.0, 2.0], dtype=torch.float64)


@pytest.mark.parametrize(("normalise", "expected"), [("batch", 4.0), ("weights", 2.0), ("sum", 12.0)])
def test_weights_of_a_single_class_cancel_only_in_the_weighted_mean(normalise: str, expected: float) -> None:
    assert reduce_losses(LOSSES, WEIGHTS, normalise).item() == pytest.approx(expected)


@pytest.mark.parametrize(("normalise", "expected"), [("batch", 2.0), ("weights", 2.0), ("sum", 6.0)])
def test_without_weights(normalise: str, expected: float) -> None:
    assert reduce_losses(LOSSES, None, normalise).item() == pytest.approx(expected)
