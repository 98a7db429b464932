"""Diagnostics of memorisation: arpit2017 §4, §7."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from imbtui.numerics.critical_samples import critical_samples
from imbtui.numerics.difficulty import spread_ratio
from imbtui.numerics.gini import gini


def exact(*values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize(
    ("values", "expected"), [((1, 1, 2, 4), 0.3125), ((3, 3, 3), 0.0), ((0, 0, 1), 0.6666667)]
)
def test_gini_worked_examples(values: tuple[float, ...], expected: float) -> None:
    """arpit2017 §7 A."""
    for order in (values, values[::-1]):
        assert float(gini(exact(*order))) == pytest.approx(expected, abs=1e-6)


def test_gini_does_not_depend_on_the_unit_and_has_none_for_nothing() -> None:
    values = torch.rand(50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert float(gini(1e6 * values)) == pytest.approx(float(gini(values)))
    # The mean absolute difference of all pairs, over twice the mean.
    pairs = (values[:, None] - values).abs().mean() / (2 * values.mean())
    assert float(gini(values)) == pytest.approx(float(pairs))
    assert math.isnan(float(gini(torch.zeros(3))))


def test_spread_of_binomial_draws_is_one() -> None:
    """arpit2017 §4.1."""
    generator = torch.Generator().manual_seed(0)
    hits = (torch.rand(20_000, 40, generator=generator, dtype=torch.float64) < 0.3).double()
    assert float(spread_ratio(hits.mean(1), 40)) == pytest.approx(1.0, abs=0.05)
    # Half of the examples always right, half never: M times as much.
    assert float(spread_ratio(exact(0, 1, 0, 1), 40)) == pytest.approx(40)


WEIGHT = exact([1, -1], [0, 0])
X = exact([0.05, 0], [0.5, 0], [-0.12, 0.3])


def test_search_worked_example() -> None:
    """arpit2017 §7 B."""
    search = critical_samples(lambda x: x @ WEIGHT, X, radius=0.1, step=0.04, noise=0, iterations=3)
    torch.testing.assert_close(search.x, exact([-0.05, 0], [0.4, 0], [-0.02, 0.3]), atol=1e-6, rtol=0)
    assert search.critical.tolist() == [True, False, False]
    assert search.found == [0, 1, 1]


def test_search_ends_early_where_it_is_told_to() -> None:
    """arpit2017 §4.4: released code stops after an iteration with fewer than 20 new samples."""
    options = {"radius": 0.1, "step": 0.04, "noise": 0.0, "iterations": 5}
    assert critical_samples(lambda x: x @ WEIGHT, X, min_new=1, **options).found == [0]
    assert len(critical_samples(lambda x: x @ WEIGHT, X, **options).found) == 5


def test_search_stays_in_its_box_and_draws_from_its_generator() -> None:
    def search(seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return critical_samples(
            lambda x: x @ WEIGHT, X, radius=0.1, step=0.08, noise=0.07, iterations=9, generator=generator
        ).x

    assert bool(((search(0) - X).abs() <= 0.1 + 1e-12).all())
    assert torch.equal(search(0), search(0))
    assert not torch.equal(search(0), search(1))
