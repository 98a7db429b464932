"""Class separation against its definition over pairs, CKA against worked examples and identities."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from imbtui.numerics.cka import (
    cka,
    hsic_unbiased,
    linear_cka,
    linear_gram,
    minibatch_cka,
    rbf_gram,
)
from imbtui.numerics.class_separation import class_separation, direction_sums, mean_distances

X = torch.tensor([[1, 2], [3, 4], [5, 7], [2, 1], [0, 3]], dtype=torch.float64)
Y = torch.tensor([[1], [2], [4], [1], [0]], dtype=torch.float64)


def random(n: int, width: int, seed: int = 0) -> Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_worked_example_of_the_separation() -> None:
    """kornblith2021 §8 B."""
    features = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [-1.0, 1.0]])
    found = class_separation(*direction_sums(features, torch.tensor([0, 0, 1, 1]), 2))
    assert found == pytest.approx(0.74452084, abs=1e-6)


def test_separation_is_the_sum_over_pairs() -> None:
    """kornblith2021 §5, for classes of different sizes, in parts, with a class that has no examples."""
    features, targets = random(30, 5), torch.tensor([0] * 17 + [1] * 9 + [2] * 4)
    directions = features / features.norm(dim=1, keepdim=True)
    distance = 1 - directions @ directions.T
    by_class = [[distance[targets == a][:, targets == b].mean() for b in range(3)] for a in range(3)]
    within = float(sum(by_class[k][k] for k in range(3)) / 3)
    total = float(sum(map(sum, by_class)) / 9)

    parts = [direction_sums(features[part], targets[part], 4) for part in (slice(0, 11), slice(11, 30))]
    sums, counts = (sum(values) for values in zip(*parts, strict=True))
    assert mean_distances(sums, counts) == pytest.approx((within, total))
    assert class_separation(sums, counts) == pytest.approx(1 - within / total)


def test_separation_that_is_not_defined() -> None:
    same = torch.full((4, 3), 0.7)
    assert math.isnan(class_separation(*direction_sums(same, torch.tensor([0, 0, 1, 1]), 2)))
    assert math.isnan(class_separation(*direction_sums(random(4, 3), torch.zeros(4, dtype=torch.long), 2)))
    assert math.isnan(mean_distances(torch.zeros(2, 3), torch.zeros(2))[0])


def test_worked_example_of_cka() -> None:
    """kornblith2021 §8 C."""
    assert linear_cka(X, Y) == pytest.approx(0.90803981, abs=1e-6)
    assert linear_cka(X, Y, debiased=True) == pytest.approx(0.79945634, abs=1e-6)


def test_check_values_of_the_authors_notebook() -> None:
    """kornblith2021 §6."""
    rng = np.random.RandomState(1337)
    x = rng.randn(100, 10)
    y = rng.randn(100, 10) + x
    pair = torch.from_numpy(x), torch.from_numpy(y)
    assert linear_cka(*pair) == pytest.approx(0.55761, abs=5e-6)
    assert linear_cka(*pair, debiased=True) == pytest.approx(0.51346, abs=5e-6)


@pytest.mark.parametrize("width", [3, 40])
def test_features_and_gram_matrices_agree(width: int) -> None:
    x, y = random(20, width), random(20, 4, seed=1)
    assert linear_cka(x, y) == pytest.approx(cka(linear_gram(x), linear_gram(y)))


@pytest.mark.parametrize("debiased", [False, True])
def test_cka_ignores_rotation_scale_and_shift(debiased: bool) -> None:
    x, y = random(20, 4), random(20, 6, seed=1)
    rotation = torch.linalg.qr(random(4, 4, seed=2)).Q
    moved = 3 * x @ rotation + 5
    assert linear_cka(moved, y, debiased=debiased) == pytest.approx(linear_cka(x, y, debiased=debiased))
    assert linear_cka(x, moved, debiased=debiased) == pytest.approx(1)


def test_unbiased_hsic_is_zero_on_average_for_independent_features() -> None:
    """kornblith2021 §5: and its ratio may be negative."""
    estimates = [
        hsic_unbiased(linear_gram(random(8, 3, seed=2 * s)), linear_gram(random(8, 3, seed=2 * s + 1)))
        for s in range(2000)
    ]
    assert abs(np.mean(estimates)) < 3 * np.std(estimates) / 2000**0.5
    assert min(estimates) < 0
    with pytest.raises(ValueError, match="3 examples are too few"):
        hsic_unbiased(linear_gram(random(3, 2)), linear_gram(random(3, 2)))


def test_minibatches_average_before_the_ratio() -> None:
    x, y = random(15, 4), random(15, 3, seed=1) + random(15, 4)[:, :3]
    assert minibatch_cka([(x, y)]) == pytest.approx(linear_cka(x, y, debiased=True))
    batches = [(x[i : i + 6], y[i : i + 6]) for i in range(0, 15, 6)]
    whole = batches[:2]  # three examples are too few
    sums = [
        sum(hsic_unbiased(linear_gram(a[i]), linear_gram(a[j])) for a in whole)
        for i, j in ((0, 1), (0, 0), (1, 1))
    ]
    assert minibatch_cka(batches) == pytest.approx(sums[0] / (sums[1] * sums[2]) ** 0.5)


def test_bandwidth_is_the_median_distance() -> None:
    """kornblith2021 §5."""
    x = random(7, 3)
    squared = torch.cdist(x, x).square().numpy()
    expected = np.exp(-squared / (2 * 0.5**2 * np.median(squared)))
    np.testing.assert_allclose(rbf_gram(x, 0.5).numpy(), expected, rtol=1e-9)


def test_constant_features_are_like_nothing() -> None:
    assert math.isnan(linear_cka(torch.ones(6, 2), random(6, 2)))
