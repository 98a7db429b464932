"""Shift invariance (singla2021): worked examples, kernels, and the search for minimal changes."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from imbtui.numerics.minimal_attack import decoupled_attack
from imbtui.numerics.shift_invariance import (
    all_shifts,
    constant_attack,
    dc_component,
    invariant_margin,
    shifted,
)
from imbtui.numerics.tangent_kernels import cntk_gap, fc_ntk

SIGNALS = torch.tensor([[1.0, 0, 0, 1], [-1, 0, 0.5, 0]], dtype=torch.float64)


def test_the_worked_example_of_four_pixels() -> None:
    x, y = SIGNALS
    dc = dc_component(SIGNALS)
    assert dc.tolist() == pytest.approx([1.0, -0.25], abs=1e-12)
    assert invariant_margin(dc[:1], dc[1:]) == pytest.approx(1.25, abs=1e-12)
    changed = constant_attack(x[None], (dc[0] + dc[1]).item() / 2)
    assert changed[0].tolist() == pytest.approx([0.6875, -0.3125, -0.3125, 0.6875], abs=1e-12)
    assert (changed[0] - x).norm().item() == pytest.approx(0.625, abs=1e-12)
    assert dc_component(y.roll(1)[None]).item() == pytest.approx(-0.25, abs=1e-12)


def test_the_worked_example_of_dots() -> None:
    dot = torch.zeros(1, 1, 5, 5, dtype=torch.float64)
    dot[0, 0, 2, 2] = 1
    gap = invariant_margin(dc_component(dot), dc_component(-dot))
    assert gap == pytest.approx(0.4, abs=1e-12)
    assert (constant_attack(dot, 0.0) - dot).norm().item() == pytest.approx(0.2, abs=1e-12)


def test_sets_that_share_a_dc_component_have_no_margin() -> None:
    assert invariant_margin(torch.tensor([0.0, 1.0]), torch.tensor([0.5, 2.0])) < 0


def test_shifts_move_around_the_edge() -> None:
    images = torch.arange(24.0).reshape(2, 1, 3, 4)
    every = all_shifts(images)
    assert every.shape == (2, 12, 1, 3, 4)
    assert torch.equal(every[:, 0], images)
    assert len({tuple(image.flatten().tolist()) for image in every[0]}) == 12
    moved = shifted(images, torch.tensor([1, 0]), torch.tensor([0, 3]))
    assert torch.equal(moved[0], images[0].roll(1, -2))
    assert torch.equal(moved[1], images[1].roll(3, -1))


def test_the_convolutional_kernel_is_the_mean_over_all_pairs_of_shifts() -> None:
    images = torch.randn(3, 2, 3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    shifts = all_shifts(images)
    expected = torch.stack(
        [torch.stack([fc_ntk(shifts[i], shifts[j]).mean() for j in range(3)]) for i in range(3)]
    )
    torch.testing.assert_close(cntk_gap(images, images), expected, atol=1e-6, rtol=0)


def test_the_kernel_at_known_angles() -> None:
    x = torch.tensor([[2.0, 0.0]], dtype=torch.float64)
    others = torch.tensor([[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
    # |x| |y| (c k0 + k1): both are 1 for equal directions, k1 = 1 / pi at a right angle, 0 for opposite ones.
    assert fc_ntk(x, others)[0].tolist() == pytest.approx([8.0, 6 / math.pi, 0.0, 0.0], abs=2e-5)


def test_kernels_are_differentiable() -> None:
    generator = torch.Generator().manual_seed(1)
    u, v = (torch.randn(2, 1, 3, 3, dtype=torch.float64, generator=generator) for _ in range(2))
    assert torch.autograd.gradcheck(lambda z: fc_ntk(z, v), u.requires_grad_())
    assert torch.autograd.gradcheck(lambda z: cntk_gap(z, v), u.requires_grad_())
    assert torch.autograd.grad(fc_ntk(v.requires_grad_(), v.detach()).sum(), v)[0].isfinite().all()


def linear(x: Tensor) -> Tensor:
    """Class 1 where the first value is above 1."""
    score = 50 * (x.flatten(1)[:, 0] - 1)
    return torch.stack([-score, score], 1)


def test_the_search_finds_the_distance_to_a_plane() -> None:
    x = torch.tensor([[0.0, 5.0], [0.5, -1.0], [3.0, 0.0], [1.5, 0.0]])
    targets = torch.tensor([0, 0, 1, 0])
    found = decoupled_attack(linear, x, targets, steps=200)
    assert found.success.all()
    # The last one is wrong as it is. Logits are steep: cross-entropy has no gradient at a distance of 2.
    assert found.norms.tolist() == pytest.approx([1.0, 0.5, 2.0, 0.0], abs=0.02)
    assert (linear(x + found.delta).argmax(1) != targets).all()


def test_the_search_keeps_within_bounds_and_says_when_it_fails() -> None:
    x, targets = torch.tensor([[0.2, 0.2]]), torch.tensor([0])
    blocked = decoupled_attack(linear, x, targets, steps=50, bounds=[0.0, 1.0])
    assert not blocked.success.any()
    assert blocked.norms.isinf().all()
    found = decoupled_attack(linear, x, targets, steps=100, bounds=[0.0, 2.0], levels=5)
    assert ((x + found.delta) * 2).tolist() == [[pytest.approx(3.0), pytest.approx(0.0, abs=1)]]
    assert ((x + found.delta) * 2 % 1 == 0).all()
