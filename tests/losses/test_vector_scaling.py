"""CDT, VS and balanced softmax: the worked examples of ye2020 §9 and kini2021 §9, and their identities."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imbtui import plugins
from imbtui.engine.objective import reduce_losses
from imbtui.errors import UserError
from imbtui.losses.balanced_softmax import BalancedSoftmax
from imbtui.losses.binary_vs import BinaryVS
from imbtui.losses.cdt import CDT
from imbtui.losses.vs import VS
from imbtui.numerics.vector_scaling import (
    binary_vs_loss,
    cdt_temperatures,
    tau_normalised,
    vs_offsets,
    vs_scales,
)

COUNTS = torch.tensor([100, 20, 5])
LOGITS = torch.tensor([[1.0, 2.0, 0.5], [0.2, -0.3, 1.5]], dtype=torch.float64)
TARGETS = torch.tensor([1, 2])


def close(value: Tensor, expected: Any, atol: float = 1e-6) -> None:
    torch.testing.assert_close(value, torch.as_tensor(expected, dtype=torch.float64), rtol=0, atol=atol)


@pytest.mark.parametrize(
    ("loss", "value", "gradient"),
    [
        (
            CDT(COUNTS, gamma=0.0),
            0.413752,
            [[0.115612, -0.185734, 0.070122], [0.094772, 0.057482, -0.152254]],
        ),
        (
            CDT(COUNTS, gamma=0.2),
            0.651057,
            [[0.163839, -0.176239, 0.043570], [0.141845, 0.067722, -0.129237]],
        ),
        (
            VS(COUNTS, gamma=0.0, tau=1.0),
            1.512403,
            [[0.317665, -0.327299, 0.009634], [0.383209, 0.046486, -0.429695]],
        ),
        (
            VS(COUNTS, gamma=0.2, tau=1.0),
            2.012827,
            [[0.373767, -0.277457, 0.004970], [0.408144, 0.038973, -0.253721]],
        ),
    ],
)
def test_worked_examples(loss: nn.Module, value: float, gradient: list) -> None:
    """ye2020 §9, kini2021 §9."""
    logits = LOGITS.clone().requires_grad_()
    mean = loss(logits, TARGETS).mean()
    mean.backward()
    assert logits.grad is not None
    close(mean.detach(), value)
    close(logits.grad, gradient)


def test_temperatures_scales_and_offsets() -> None:
    close(cdt_temperatures(COUNTS, 0.2), [1, 1.379730, 1.820564])
    close(1 / vs_scales(COUNTS, 0.2), [1, 1.379730, 1.820564])
    close(vs_offsets(COUNTS, 1.0), [-0.223144, -1.832581, -3.218876])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_vs_contains_its_special_cases(dtype: torch.dtype) -> None:
    """kini2021 §2.1: CE, logit adjustment, CDT, balanced softmax."""
    generator = torch.Generator().manual_seed(0)
    counts = torch.tensor([500, 120, 33, 7])
    logits = 5 * torch.randn(40, 4, generator=generator, dtype=dtype)
    targets = torch.arange(40) % 4
    prior = counts.double() / counts.sum()
    tolerance = 1e-12 if dtype == torch.float64 else 1e-5

    def same(gamma: float, tau: float, expected: Tensor) -> None:
        torch.testing.assert_close(
            VS(counts, gamma=gamma, tau=tau)(logits, targets), expected, rtol=0, atol=tolerance
        )

    same(0.0, 0.0, F.cross_entropy(logits, targets, reduction="none"))
    adjusted = logits + prior.log().to(dtype)
    same(0.0, 1.0, F.cross_entropy(adjusted, targets, reduction="none"))
    same(0.0, 1.0, BalancedSoftmax(counts)(logits, targets))
    same(0.2, 0.0, CDT(counts, gamma=0.2)(logits, targets))


def test_balanced_softmax_is_the_softmax_times_class_sizes() -> None:
    exponents = LOGITS.exp() * COUNTS
    expected = -(exponents[[0, 1], TARGETS] / exponents.sum(1)).log()
    torch.testing.assert_close(BalancedSoftmax(COUNTS)(LOGITS, TARGETS), expected)


def test_weighted_mean_is_pytorchs() -> None:
    """kini2021 §2.1: with omega the mean is divided by the batch's sum of weights."""
    omega = torch.tensor([0.2, 1.0, 3.0], dtype=torch.float64)
    loss = VS(COUNTS, gamma=0.2, tau=1.0)
    adjusted = LOGITS * loss.scales + loss.offsets
    expected = F.cross_entropy(adjusted, TARGETS, weight=omega)
    torch.testing.assert_close(
        reduce_losses(loss(LOGITS, TARGETS), omega[TARGETS], "weights"), expected, rtol=0, atol=1e-12
    )


def test_nothing_is_divided_at_test_time() -> None:
    """ye2020 §8.1: temperatures would turn predictions away from rare classes; models know none."""
    logits = torch.tensor([[1.0, 0.0, 1.1]], dtype=torch.float64)
    assert logits.argmax() == 2
    assert (logits / cdt_temperatures(COUNTS, 0.2)).argmax() == 0


@pytest.mark.parametrize("name", ["cdt", "vs", "balanced_softmax"])
def test_a_class_without_examples_is_refused(name: str) -> None:
    """ye2020 §8.5."""
    with pytest.raises(UserError, match="class 1 has none"):
        plugins.load("loss", name)(torch.tensor([3, 0, 1]))


@pytest.mark.parametrize("name", ["binary_vs", "group_vs"])
def test_binary_losses_are_for_two_classes(name: str) -> None:
    with pytest.raises(UserError, match="two classes and the data set has 3"):
        plugins.load("loss", name)(COUNTS)


def test_binary_vs_is_its_definition() -> None:
    """kini2021 §2.2: ln(1 + exp(iota) exp(-Delta y f)) with Delta and iota of the label."""
    counts = torch.tensor([90, 10])
    loss = BinaryVS(counts, gamma=0.5, tau=1.0)
    logits = torch.tensor([[0.3, -0.4], [0.1, 1.2], [0.0, 0.0]], dtype=torch.float64)
    targets = torch.tensor([0, 1, 1])
    f, y = logits[:, 1] - logits[:, 0], torch.tensor([-1.0, 1.0, 1.0])
    delta = torch.tensor([1.0, 1 / 3, 1 / 3], dtype=torch.float64)
    iota = -torch.tensor([0.9, 0.1, 0.1], dtype=torch.float64).log()
    expected = (1 + iota.exp() * (-delta * y * f).exp()).log()
    torch.testing.assert_close(loss(logits, targets), expected, rtol=0, atol=1e-12)


def test_binary_vs_is_cross_entropy_without_factors_and_another_loss_than_vs_with_them() -> None:
    counts = torch.tensor([90, 10])
    logits = torch.tensor([[0.3, -0.4], [0.1, 1.2]], dtype=torch.float64)
    targets = torch.tensor([0, 1])
    plain = F.cross_entropy(logits, targets, reduction="none")
    torch.testing.assert_close(BinaryVS(counts, gamma=0.0, tau=0.0)(logits, targets), plain)
    both = [loss(counts, gamma=0.5, tau=0.0)(logits, targets) for loss in (BinaryVS, VS)]
    assert (both[0] - both[1]).abs().min() > 1e-2


def test_binary_loss_keeps_its_gradient_where_it_is_tiny() -> None:
    """Late in training on separable data only the gradient's direction matters (kini2021 §8.9)."""
    scores = torch.tensor([430.0, 431.0], dtype=torch.float64, requires_grad=True)
    ones = torch.ones(2, dtype=torch.float64)
    binary_vs_loss(scores, ones, ones, 0 * ones).sum().backward()
    assert scores.grad is not None
    assert (scores.grad[0] / scores.grad[1]).item() == pytest.approx(torch.e, rel=1e-9)


def test_tau_normalisation() -> None:
    """ye2020 §2.3."""
    norms = torch.tensor([4.0, 1.0, 0.25], dtype=torch.float64)
    torch.testing.assert_close(tau_normalised(LOGITS, norms, 0.0), LOGITS)
    torch.testing.assert_close(tau_normalised(LOGITS, norms, 0.5), LOGITS / torch.tensor([2.0, 1.0, 0.5]))
    torch.testing.assert_close(tau_normalised(LOGITS, norms, 1.0), LOGITS / norms)
