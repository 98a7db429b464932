"""Focal loss: its formula and its slope at certainty."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from imbtui.losses.focal import Focal, focal_loss

LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.3, 0.1, 0.4]], dtype=torch.float64)
TARGETS = torch.tensor([0, 1])


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_formula(gamma: float) -> None:
    """cao2019 §2.4."""
    p = LOGITS.softmax(1)[[0, 1], TARGETS]
    torch.testing.assert_close(focal_loss(LOGITS, TARGETS, gamma), (1 - p) ** gamma * -p.log())


def test_defaults() -> None:
    counts = torch.tensor([1, 1, 1])
    torch.testing.assert_close(Focal(counts)(LOGITS, TARGETS), focal_loss(LOGITS, TARGETS, 1.0))
    plain = F.cross_entropy(LOGITS, TARGETS, reduction="none")
    torch.testing.assert_close(Focal(counts, gamma=0.0)(LOGITS, TARGETS), plain)


@pytest.mark.parametrize("gamma", [0.0, 0.1, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("gap", [0.0, 20.0, 100.0, 1e4])
def test_slope_is_finite_at_certainty(gamma: float, gap: float) -> None:
    logits = torch.tensor([[gap, 0.0], [0.0, gap]], requires_grad=True)
    losses = focal_loss(logits, torch.tensor([0, 0]), gamma)
    losses.sum().backward()
    assert logits.grad is not None
    assert losses.isfinite().all()
    assert logits.grad.isfinite().all()
