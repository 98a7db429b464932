"""Formulas of manifold mixup: the worked example, and what flattening and attacks are by definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imbtui.numerics.adversarial import drawn_from_ball, fgsm, input_gradient, pgd, projected, steepest
from imbtui.numerics.flattening import class_singular_values, participation_ratio, scatter_ratio
from imbtui.numerics.mixup import (
    draw_share,
    mixed_states,
    mixed_targets,
    soft_cross_entropy,
    softmax_bce,
)

LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.0, 1.0, 0.0]], dtype=torch.float64)
TARGETS, PARTNERS, SHARE = torch.tensor([0, 1]), torch.tensor([1, 0]), 0.25
MIXED = mixed_targets(TARGETS, PARTNERS, SHARE, 3)


def test_worked_example() -> None:
    """verma2019 §Worked example."""
    assert MIXED.tolist() == [[0.25, 0.75, 0], [0.75, 0.25, 0]]
    losses = soft_cross_entropy(LOGITS, MIXED)
    assert losses.tolist() == pytest.approx([1.669846, 1.301445], abs=1e-6)
    assert float(losses.mean()) == pytest.approx(1.485645, abs=1e-6)
    assert float(softmax_bce(LOGITS, MIXED).mean()) == pytest.approx(0.896402, abs=1e-6)


@pytest.mark.parametrize("loss", [soft_cross_entropy, softmax_bce])
def test_losses_are_linear_in_the_targets(loss: object) -> None:
    onehot = F.one_hot(TARGETS, 3).double()
    apart = SHARE * loss(LOGITS, onehot) + (1 - SHARE) * loss(LOGITS, onehot[PARTNERS])  # type: ignore[operator]
    torch.testing.assert_close(loss(LOGITS, MIXED), apart)  # type: ignore[operator]
    assert torch.autograd.gradcheck(lambda z: loss(z, MIXED), LOGITS.clone().requires_grad_())  # type: ignore[operator]


def test_softmax_bce_is_that_of_torch() -> None:
    expected = F.binary_cross_entropy(LOGITS.softmax(-1), MIXED, reduction="none").mean(1)
    torch.testing.assert_close(softmax_bce(LOGITS, MIXED), expected)


def test_gradients_reach_both_examples() -> None:
    states = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(mixed_states(states, PARTNERS, SHARE)[0].sum(), states)
    assert gradient[:, 0].tolist() == [0.25, 0.75]


def test_shares_are_beta() -> None:
    rng = np.random.default_rng(0)
    draws = np.array([draw_share(2.0, rng) for _ in range(4000)])
    assert draws.mean() == pytest.approx(0.5, abs=0.015)
    assert draws.var() == pytest.approx(1 / 20, abs=0.004)
    assert draw_share(0, rng) == 1.0


def test_spectra_of_known_states() -> None:
    """Two classes, each a cross with arms 3 and 1 around its own mean."""
    cross = torch.tensor([[3.0, 0], [-3, 0], [0, 1], [0, -1]], dtype=torch.float64)
    states = torch.cat([cross + 10, cross - 10])
    targets = torch.tensor([0] * 4 + [1] * 4)
    values = class_singular_values(states, targets, 1)
    assert values.tolist() == pytest.approx([math.sqrt(18), math.sqrt(2)])
    assert float(participation_ratio(values)) == pytest.approx(20**2 / (18**2 + 2**2))
    assert float(scatter_ratio(states, targets)) == pytest.approx(40 / (40 + 8 * 200))
    assert float(scatter_ratio(7 * states, targets)) == pytest.approx(40 / (40 + 8 * 200))


def linear(weight: list[list[float]]) -> nn.Linear:
    layer = nn.Linear(len(weight[0]), len(weight), bias=False).double()
    layer.weight.data = torch.tensor(weight, dtype=torch.float64)
    return layer


def some_points(n: int = 5) -> Tensor:
    return torch.rand(n, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_one_step_against_a_linear_network() -> None:
    """The loss of class 0 rises most against w_0 - w_1, whatever the example."""
    model = linear([[1.0, -2.0, 0.5], [0.0, 0.0, 0.0]])
    x, y = some_points(), torch.zeros(5, dtype=torch.int64)
    signs = torch.tensor([-1.0, 1.0, -1.0], dtype=torch.float64)
    torch.testing.assert_close(fgsm(model, x, y, eps=0.1), (x + 0.1 * signs).clamp(0, 1))
    against = torch.tensor([-1.0, 2.0, -0.5], dtype=torch.float64)
    far = fgsm(model, x, y, eps=0.1, norm="l2", bounds=None)
    torch.testing.assert_close(far, x + 0.1 * against / against.norm())
    assert model.weight.grad is None


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_pgd_ends_in_ball_and_bounds_at_the_worst_point(norm: str) -> None:
    model = linear([[1.0, -2.0, 0.5], [0.0, 0.0, 0.0]])
    x, y = some_points(), torch.zeros(5, dtype=torch.int64)
    generator = torch.Generator().manual_seed(1)
    options = {"eps": 0.3, "step": 0.06, "steps": 30, "norm": norm, "random_start": True}
    moved = pgd(model, x, y, generator=generator, **options)  # type: ignore[arg-type]
    assert moved.min() >= 0
    assert moved.max() <= 1
    free = pgd(model, x, y, bounds=None, generator=generator, **options)  # type: ignore[arg-type]
    best = fgsm(model, x, y, eps=0.3, norm=norm, bounds=None)  # type: ignore[arg-type]
    torch.testing.assert_close(free, best, atol=0.01, rtol=0)
    lengths = (free - x).flatten(1).norm(dim=1, p=math.inf if norm == "linf" else 2)
    assert (lengths <= 0.3 + 1e-12).all()


def test_an_attack_follows_the_loss_it_is_given() -> None:
    model = linear([[1.0, -2.0, 0.5], [0.0, 0.0, 0.0]])
    x, y = some_points(), torch.zeros(5, dtype=torch.int64)
    gradient = input_gradient(model, x, y, loss=lambda z, t: -z.gather(1, t.unsqueeze(1)).squeeze(1))
    torch.testing.assert_close(gradient, torch.tensor([[-1.0, 2.0, -0.5]] * 5, dtype=torch.float64))


def test_saturated_gradients_give_a_direction_all_the_same() -> None:
    """singla2021 §Attacks: no gradient must not read as robustness."""
    gradient = torch.tensor([[0.0, 0.0], [3e-200, 4e-200]], dtype=torch.float64)
    direction = steepest(gradient, "l2", torch.Generator().manual_seed(0))
    assert direction.norm(dim=1).tolist() == pytest.approx([1, 1])
    assert direction[1].tolist() == pytest.approx([0.6, 0.8])


def test_projection_and_draws() -> None:
    delta = torch.tensor([[3.0, 4.0], [0.3, -0.4], [0.0, 0.0]], dtype=torch.float64)
    assert projected(delta, 1.0, "l2").tolist() == [
        pytest.approx(v) for v in ([0.6, 0.8], [0.3, -0.4], [0, 0])
    ]
    assert projected(delta, 1.0, "linf").tolist() == [[1, 1], [0.3, -0.4], [0, 0]]
    generator = torch.Generator().manual_seed(0)
    radii = drawn_from_ball(torch.zeros(4000, 2, dtype=torch.float64), 2.0, "l2", generator).norm(dim=1)
    assert float(radii.max()) <= 2
    assert float((radii < 1).double().mean()) == pytest.approx(0.25, abs=0.03)
