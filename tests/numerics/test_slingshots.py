"""Spikes, slingshots, grokking, sharpness and distances on numbers that can be worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from imbtui.numerics.cosine_distance import cosine_distance
from imbtui.numerics.slingshots import find_spikes, fitted_at, grokking, slingshots
from imbtui.numerics.update_sharpness import update_sharpness

LOSSES = [1, 0.01, 1e-4, 1e-6, 1e-2, 1e-3, 1e-5, 1e-7]


def test_one_spike_is_found_once() -> None:
    """thilak2022 §8 C."""
    assert fitted_at([0.5, 1, 1, 1, 0.97, 1, 1, 1]) == 1
    assert find_spikes(LOSSES, 1) == [4]
    assert find_spikes([*LOSSES, 1e-3], 1) == [4, 8], "armed again, by the loss at which that happened"
    assert find_spikes([*LOSSES[:6], 1e-1], 1) == [4], "not armed again within a spike"


def test_a_loss_that_underflows_makes_no_spike() -> None:
    assert find_spikes([1e-6, 0.0, 1e-8, 0.9e-4], 0) == []
    assert find_spikes([1e-6, 0.0, 1e-8, 1.1e-4], 0) == [3]
    assert find_spikes([1e-6, math.nan, 1e-3, math.inf], 0) == [2]


def test_training_data_that_is_never_fitted() -> None:
    assert fitted_at([0.5, 0.99, math.nan]) is None


def test_a_spike_without_growth_is_no_slingshot() -> None:
    steps = list(range(0, 1000, 100))
    norms = [2, 10, 12, 14, 20, 20.5, 20.5, 20.55, 20.6, 21]
    found = slingshots(steps, norms, [4, 7, 9], start=1)
    # 14 against 10; 20.5 against 14; 20.6 against 20.5 is less than half a percent.
    assert [each.step for each in found] == [400, 700]
    assert (found[0].norm_before, found[1].norm_before) == (14, 20.5)
    assert [each.step for each in slingshots(steps, norms, [4, 7, 9], 1, growth=0.004)] == [400, 700, 900]


def test_growth_is_measured_in_the_tenth_on_either_side() -> None:
    steps = list(range(0, 1300, 10))
    norms = [math.exp(0.002 * min(step, 1000)) for step in steps]
    (found,) = slingshots(steps, norms, [100], start=10)
    assert found.growth_before == pytest.approx(2.0)
    assert found.growth_after == 0
    assert found.norm_after == pytest.approx(math.exp(2.0))


def test_grokking_at_a_spike_or_far_from_one() -> None:
    steps = list(range(0, 1000, 100))
    held_out = [0.0, 0.1, 0.1, 0.2, 0.2, 0.3, 0.5, 0.8, 0.9, 1.0]
    found = grokking(steps, held_out, [8], 1)
    assert found is not None
    assert (found.step, found.delay, found.at_slingshot) == (800, 700, True)
    far = grokking(steps, held_out, [5, 9], 1)
    assert far is not None and not far.at_slingshot
    assert grokking(steps, held_out, [8], None) is None
    assert grokking(steps, held_out, [8], 6) is None, "it generalised when it fitted"
    assert grokking(steps, [0.1] * 10, [8], 1) is None


def test_sharpness_of_a_quadratic() -> None:
    """For x^T A x / 2 it is the Rayleigh quotient of A along the update, wherever that starts."""
    a = torch.diag(torch.tensor([1.0, 10.0], dtype=torch.float64))
    before = {"x": torch.tensor([3.0, -2.0], dtype=torch.float64)}

    def loss_of(parameters: Mapping[str, Tensor]) -> Tensor:
        return 0.5 * parameters["x"] @ a @ parameters["x"]

    for update, expected in (([1.0, 0.0], 1.0), ([0.0, 1e-12], 10.0), ([1.0, 1.0], 5.5)):
        after = {"x": before["x"] + torch.tensor(update, dtype=torch.float64)}
        assert float(update_sharpness(loss_of, before, after)) == pytest.approx(expected, rel=1e-6)
    assert math.isnan(float(update_sharpness(loss_of, before, before)))


def test_cosine_distance() -> None:
    a = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    assert float(cosine_distance(a, 3 * a)) == pytest.approx(0, abs=1e-12)
    assert float(cosine_distance(a, torch.tensor([[1.0, 1.0], [0, 0]]))) == pytest.approx(1 - 0.5**0.5)
