"""The objectives of kornblith2021: worked example A, and equalities between them."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from imbtui.errors import UserError
from imbtui.losses.cross_entropy import CrossEntropy
from imbtui.losses.label_smoothing import LabelSmoothing
from imbtui.losses.logit_norm import LogitNorm
from imbtui.losses.sigmoid_cross_entropy import SigmoidCrossEntropy, sigmoid_cross_entropy_loss
from imbtui.losses.squared import Squared
from imbtui.methods.logit_penalty import logit_penalty

LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.0, 1.0, 3.0]], dtype=torch.float64)
TARGETS = torch.tensor([0, 1])
COUNTS = torch.tensor([1, 1, 1])


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (CrossEntropy(COUNTS), 1.16984602),
        (LabelSmoothing(COUNTS), 1.37390298),
        (LabelSmoothing(COUNTS, rescale=False), 1.23651269),
        (LogitNorm(COUNTS), 7.90569422),
        (SigmoidCrossEntropy(COUNTS), 1.90802526),
        (Squared(COUNTS, kappa=9.0, target=60.0, scale=10.0, class_reduction="sum"), 308075.0),
        (Squared(COUNTS, kappa=9.0, target=60.0, scale=10.0), 308075.0 / 3),
    ],
)
def test_worked_example(loss: nn.Module, expected: float) -> None:
    """kornblith2021 §8 A."""
    assert float(loss(LOGITS, TARGETS).mean()) == pytest.approx(expected, abs=1e-6)


def test_worked_example_of_the_logit_penalty() -> None:
    """kornblith2021 §8 A."""
    total = F.cross_entropy(LOGITS, TARGETS) + logit_penalty(LOGITS, 6e-4)
    assert float(total) == pytest.approx(1.17209602, abs=1e-6)


def test_label_smoothing_without_any_is_cross_entropy() -> None:
    torch.testing.assert_close(
        LabelSmoothing(COUNTS, alpha=0.0)(LOGITS, TARGETS), CrossEntropy(COUNTS)(LOGITS, TARGETS)
    )
    with pytest.raises(UserError, match="alpha must be below 1"):
        LabelSmoothing(COUNTS, alpha=1.0)


def test_logit_norm_does_not_see_the_length_of_the_logits() -> None:
    loss = LogitNorm(COUNTS)
    torch.testing.assert_close(loss(10 * LOGITS, TARGETS), loss(LOGITS, TARGETS))


@pytest.mark.parametrize(("shift", "value"), [("log_others", math.log(2)), ("none", 0.0)])
def test_shifts_of_the_sigmoid(shift: str, value: float) -> None:
    """kornblith2021 §2, §9: a shift equals biases that start lower."""
    found = SigmoidCrossEntropy(COUNTS, shift=shift)(LOGITS + value, TARGETS)
    torch.testing.assert_close(found, sigmoid_cross_entropy_loss(LOGITS, TARGETS, 0.0))
