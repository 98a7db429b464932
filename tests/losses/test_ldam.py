"""LDAM: the worked example of cao2019 §9 and classes without examples."""

from __future__ import annotations

import pytest
import torch

from imbtui.engine.objective import reduce_losses
from imbtui.losses.ldam import LDAM, ldam_hinge_loss, ldam_loss, ldam_margins
from imbtui.numerics.class_weights import class_weights

COUNTS = torch.tensor([100, 10, 1])
COSINES = torch.tensor([[0.5, 0.2, -0.1], [0.3, 0.1, 0.4]], dtype=torch.float64)
TARGETS = torch.tensor([0, 2])


def close(value: torch.Tensor, expected: float | list) -> None:
    torch.testing.assert_close(value, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-6)


def test_margins() -> None:
    close(ldam_margins(COUNTS, 0.5), [0.158114, 0.281171, 0.5])


@pytest.mark.parametrize(("s", "expected"), [(30.0, 6.008277), (10.0, 2.184650)])
def test_loss(s: float, expected: float) -> None:
    close(LDAM(COUNTS, s=s)(COSINES, TARGETS).mean(), expected)


def test_gradient() -> None:
    cosines = COSINES.clone().requires_grad_()
    LDAM(COUNTS)(cosines, TARGETS).mean().backward()
    assert cosines.grad is not None
    close(cosines.grad, [[-0.209615, 0.209589, 0.000026], [14.962819, 0.037089, -14.999908]])


def test_loss_with_drw_weights() -> None:
    weights = class_weights(COUNTS, beta=0.9999)
    close(weights, [0.027159, 0.270369, 2.702472])
    losses = LDAM(COUNTS)(COSINES, TARGETS)
    close(reduce_losses(losses, weights[TARGETS], "weights"), 11.883202)


def test_stable_form_is_the_definition() -> None:
    margins = ldam_margins(COUNTS, 0.5)
    shifted = COSINES.clone()
    for row, target in enumerate(TARGETS.tolist()):
        shifted[row, target] -= margins[target]
    expected = (30 * shifted).logsumexp(1) - (30 * shifted)[[0, 1], TARGETS]
    torch.testing.assert_close(ldam_loss(COSINES, TARGETS, margins, 30.0), expected)


def test_no_margin_is_scaled_cross_entropy() -> None:
    losses = LDAM(COUNTS, max_m=0.0, s=2.0)(COSINES, TARGETS)
    expected = torch.nn.functional.cross_entropy(2 * COSINES, TARGETS, reduction="none")
    torch.testing.assert_close(losses, expected)


def test_a_uniform_margin_knows_no_counts() -> None:
    """cao2019 §2.5, M-DRW: every class has the margin of the rarest one."""
    uniform = LDAM(COUNTS, margin="uniform")
    close(uniform.margins, [0.5, 0.5, 0.5])
    expected = ldam_loss(COSINES, TARGETS, torch.full((3,), 0.5), 30.0)
    torch.testing.assert_close(uniform(COSINES, TARGETS), expected)
    assert uniform(COSINES, TARGETS)[0] > LDAM(COUNTS)(COSINES, TARGETS)[0]
    close(LDAM(COUNTS, form="hinge", margin="uniform")(COSINES, TARGETS), [0.2, 0.4])


def test_classes_without_examples_have_the_largest_margin_and_change_no_other() -> None:
    some = ldam_margins(torch.tensor([100, 0, 10, 1, 0]), 0.5)
    close(some, [0.158114, 0.5, 0.281171, 0.5, 0.5])
    close(ldam_margins(torch.tensor([100, 0]), 0.5), [0.5, 0.5])
    close(ldam_margins(torch.tensor([0, 0]), 0.5), [0.5, 0.5])


def test_hinge() -> None:
    """cao2019 §2.1: max(0, largest other logit - z_y + m_y)."""
    logits = torch.tensor([[2.0, 0.5, 1.9], [0.1, 0.3, 0.9], [5.0, 0.0, 0.0]], dtype=torch.float64)
    targets = torch.tensor([0, 2, 0])
    margins = ldam_margins(COUNTS, 0.5)
    expected = [1.9 - 2.0 + float(margins[0]), 0.0, 0.0]
    close(LDAM(COUNTS, form="hinge")(logits, targets), expected)
    active = torch.tensor([[0.2, 0.9, -1.0], [0.7, 0.4, 0.1]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: ldam_hinge_loss(z, torch.tensor([0, 2]), margins), active)
    extreme = torch.tensor([[1e4, -1e4, 0.0]], requires_grad=True)
    LDAM(COUNTS, form="hinge")(extreme, torch.tensor([1])).sum().backward()
    assert extreme.grad is not None
    assert extreme.grad.isfinite().all()
