"""Forward and backward correction and their baselines: worked examples of patrini2017 §8, identities."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from imbtui import plugins
from imbtui.errors import UserError
from imbtui.losses.backward_correction import BackwardCorrection
from imbtui.losses.forward_correction import ForwardCorrection
from imbtui.numerics.label_noise import circular_pairs, pair_noise, symmetric_noise
from imbtui.numerics.transition import backward_loss, forward_loss, invert_transition

T = [[0.8, 0.2, 0.0], [0.0, 0.9, 0.1], [0.3, 0.0, 0.7]]
INVERSE = [
    [1.235294, -0.274510, 0.039216],
    [0.058824, 1.098039, -0.156863],
    [-0.529412, 0.117647, 1.411765],
]
Z = torch.tensor([[2.0, 0.0, -1.0]], dtype=torch.float64).repeat(3, 1)
LABELS = torch.arange(3)
CE = [0.169846, 2.169846, 3.169846]
COUNTS = torch.tensor([5, 5, 5])


def close(value: Tensor, expected: Any, atol: float = 1e-6) -> None:
    torch.testing.assert_close(value, torch.as_tensor(expected, dtype=torch.float64), rtol=0, atol=atol)


def value_and_gradient(loss: nn.Module) -> tuple[Tensor, Tensor]:
    z = Z.clone().requires_grad_()
    losses = loss(z, LABELS)
    losses.sum().backward()
    assert z.grad is not None
    return losses.detach(), z.grad


def test_forward_worked_example() -> None:
    losses, gradient = value_and_gradient(ForwardCorrection(COUNTS, transition="given", matrix=T))
    close(losses, [0.374492, 1.303666, 3.198422])
    expected = [
        [-0.137877, 0.114195, 0.023682],
        [0.222294, -0.264304, 0.042010],
        [0.843795, -0.165513, -0.678282],
    ]
    close(gradient, expected)


@pytest.mark.parametrize("clip", [1e-7, 0.0])
def test_backward_worked_example(clip: float) -> None:
    loss = BackwardCorrection(COUNTS, transition="given", matrix=T, clip=clip)
    close(loss.inverse, INVERSE)
    losses, gradient = value_and_gradient(loss)
    close(losses, [-0.261527, 1.895336, 4.640434])
    expected = [
        [-0.391499, 0.388705, 0.002794],
        [0.784971, -0.983844, 0.198873],
        [1.373206, -0.003452, -1.369755],
    ]
    close(gradient, expected)
    close(torch.tensor(T, dtype=torch.float64) @ losses, CE)


@st.composite
def invertible(draw: st.DrawFn) -> Tensor:
    """A transition matrix in which the true label stays the most likely one: it has an inverse."""
    classes = draw(st.integers(2, 6))
    entry = st.floats(0, 1)
    other = torch.tensor(
        [draw(st.lists(entry, min_size=classes, max_size=classes)) for _ in range(classes)],
        dtype=torch.float64,
    ).fill_diagonal_(0)
    share = other / other.sum(1, keepdim=True).clamp_min(1e-9)
    rates = 0.45 * torch.tensor([draw(entry) for _ in range(classes)], dtype=torch.float64)
    off = rates.unsqueeze(1) * share
    return off + torch.diag(1 - off.sum(1))


def some_logits(draw: st.DataObject, classes: int, largest: float = 30.0) -> Tensor:
    numbers = st.lists(st.floats(-largest, largest), min_size=classes, max_size=classes)
    return torch.tensor(draw.draw(numbers), dtype=torch.float64)


@settings(max_examples=60, deadline=None)
@given(invertible(), st.data())
def test_backward_is_unbiased(transition: Tensor, data: st.DataObject) -> None:
    """patrini2017 §2.2: averaged over noisy labels it is the loss of the clean one, whatever the logits."""
    classes = len(transition)
    logits = some_logits(data, classes).expand(classes, classes)
    labels = torch.arange(classes)
    losses = backward_loss(logits, labels, invert_transition(transition), 0.0)
    torch.testing.assert_close(
        transition @ losses, F.cross_entropy(logits, labels, reduction="none"), rtol=1e-9, atol=1e-9
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 6), st.data())
def test_without_noise_both_are_cross_entropy(classes: int, data: st.DataObject) -> None:
    """patrini2017 §2.1: T = I, to 1e-12, saturated probabilities included."""
    logits = some_logits(data, classes, largest=100.0).expand(classes, classes)
    labels = torch.arange(classes)
    expected = F.cross_entropy(logits, labels, reduction="none")
    counts = torch.ones(classes)
    close(ForwardCorrection(counts)(logits, labels), expected, atol=1e-12)
    close(BackwardCorrection(counts, clip=0.0)(logits, labels), expected, atol=1e-12)


def test_saturated_logits_without_noise() -> None:
    logits = torch.tensor([[60.0, -40.0, 0.0, -75.0]], dtype=torch.float64).repeat(4, 1)
    expected = F.cross_entropy(logits, torch.arange(4), reduction="none")
    close(ForwardCorrection(torch.ones(4))(logits, torch.arange(4)), expected, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(invertible(), st.data())
def test_forward_is_least_at_the_clean_posterior(transition: Tensor, data: st.DataObject) -> None:
    """patrini2017 §2.2: at p = eta the expected loss is the entropy of eta T, and nowhere less."""
    classes = len(transition)
    eta = some_logits(data, classes, largest=3.0).softmax(0)
    noisy = eta @ transition
    labels = torch.arange(classes)

    def expected(p: Tensor) -> Tensor:
        return noisy @ forward_loss(p.log().expand(classes, classes), labels, transition.log())

    entropy = -torch.special.xlogy(noisy, noisy).sum()
    torch.testing.assert_close(expected(eta), entropy)
    assert expected(some_logits(data, classes, largest=3.0).softmax(0)) >= entropy - 1e-9


@pytest.mark.parametrize("loss", [ForwardCorrection, BackwardCorrection])
def test_gradients_with_noise(loss: type[nn.Module]) -> None:
    module = loss(COUNTS, transition="given", matrix=T)
    logits = torch.tensor([[0.3, -1.0, 0.5], [2.0, 0.1, -1.5], [0.0, 0.4, 0.2]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda z: module(z, LABELS), logits.requires_grad_())
    extreme = torch.tensor([[1e4, -1e4, 0.0]]).repeat(3, 1).requires_grad_()
    module(extreme, LABELS).sum().backward()
    assert extreme.grad is not None
    assert extreme.grad.isfinite().all()


def test_clipping_bounds_the_backward_loss() -> None:
    """patrini2017 §2.2: without it the loss of a label falls as far as the logits go."""
    logits = torch.tensor([[0.0, -1e4, 0.0]], dtype=torch.float64)
    unclipped, clipped = (
        BackwardCorrection(COUNTS, transition="given", matrix=T, clip=clip)(logits, LABELS[:1])
        for clip in (0.0, 1e-7)
    )
    assert unclipped.item() < -2000
    expected = INVERSE[0][1] * -math.log(1e-7) + (INVERSE[0][0] + INVERSE[0][2]) * math.log(2)
    close(clipped, [expected], atol=1e-4)


def test_alpha_mixes_the_identity_in() -> None:
    loss = ForwardCorrection(COUNTS, transition="given", matrix=T, alpha=0.25)
    close(loss.transition, 0.25 * np.eye(3) + 0.75 * np.array(T))


@pytest.mark.parametrize(
    ("matrix", "sentence"),
    [
        ([[1.0, 0.0], [0.0, 1.0]], r"has shape \[2, 2\] and there are 3 classes"),
        ([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], "the rows of a matrix are as long"),
        ([[0.9, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], "row 0 of the transition matrix sums to 0.9"),
        ([[1.2, -0.2, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], "an entry that is no probability"),
        ([[1.0, 0.0, 0.0], [0.5, 0.0, 0.5], [0.0, 0.0, 1.0]], "never produces label 1"),
        (None, 'goes with transition = "given"'),
    ],
)
def test_what_is_no_transition_matrix(matrix: Any, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        ForwardCorrection(COUNTS, transition="given", matrix=matrix)


@pytest.mark.parametrize("matrix", [symmetric_noise(10, 0.9), pair_noise(4, 0.5, circular_pairs(4))])
def test_singular_noise_has_no_backward_correction(matrix: np.ndarray) -> None:
    """patrini2017 §2.2: symmetric noise at (K - 1) / K, pair flips at 0.5 around an even circle."""
    with pytest.raises(UserError, match="is singular"):
        BackwardCorrection(torch.ones(len(matrix)), transition="given", matrix=matrix.tolist())
    ForwardCorrection(torch.ones(len(matrix)), transition="given", matrix=matrix.tolist())


def test_a_badly_conditioned_matrix_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    matrix = symmetric_noise(2, 0.4999).tolist()
    BackwardCorrection(torch.ones(2), transition="given", matrix=matrix)
    assert "close to singular: condition 5e+03" in capsys.readouterr().err


P = [0.843795, 0.114195, 0.042010]


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        (
            "bootstrap_soft",
            {},
            lambda t: 0.95 * CE[t] + 0.05 * sum(p * ce for p, ce in zip(P, CE, strict=True)),
        ),
        ("bootstrap_hard", {}, lambda t: 0.8 * CE[t] + 0.2 * CE[0]),
        ("bootstrap_hard", {"beta": 1.0}, lambda t: CE[t]),
        ("unhinged", {}, lambda t: np.mean([1 - (k == t) * f for k, f in enumerate((2, 0, -1))])),
        (
            "sigmoid",
            {},
            lambda t: np.mean([1 / (1 + math.exp((k == t) * f)) for k, f in enumerate((2, 0, -1))]),
        ),
        (
            "ramp",
            {},
            lambda t: np.mean([min(1, max(0, 1 - (k == t) * f)) for k, f in enumerate((2, 0, -1))]),
        ),
        ("savage", {}, lambda t: np.mean([(1 + math.exp(2 * (k == t) * p)) ** -2 for k, p in enumerate(P)])),
    ],
)
def test_baselines(name: str, options: dict[str, float], expected: Any) -> None:
    """patrini2017 §2.3, sums over classes written out."""
    loss = plugins.load("loss", name)(COUNTS, **options)
    close(loss(Z, LABELS), [expected(t) for t in range(3)])
