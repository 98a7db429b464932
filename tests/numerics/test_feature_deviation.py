"""Feature deviation and its size-controlled companion (ye2020 §6)."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor

from imbtui.numerics.feature_deviation import controlled_deviation, feature_deviation, spearman

TRAIN = torch.tensor([[3.0, 4.0], [3.0, 0.0], [0.0, 5.0], [0.0, 5.0]], dtype=torch.float64)
TRAIN_Y = torch.tensor([0, 0, 1, 1])
TEST = torch.tensor([[3.0, 5.0], [0.0, 1.0], [0.0, 3.0]], dtype=torch.float64)
TEST_Y = torch.tensor([0, 1, 1])


def controlled(
    train: Tensor, y: Tensor, test: Tensor, test_y: Tensor, classes: int, size: int, repeats: int = 50
):
    generator = torch.Generator().manual_seed(0)
    return controlled_deviation(
        train, y, test, test_y, classes, size=size, repeats=repeats, generator=generator
    )


def test_distance_of_means_over_the_mean_norm() -> None:
    """Means (3, 2) and (3, 5), (0, 5) and (0, 2); the training norms 5, 3, 5, 5 have a mean of 4.5."""
    found = feature_deviation(TRAIN, TRAIN_Y, TEST, TEST_Y, 2)
    torch.testing.assert_close(found, torch.tensor([3 / 4.5, 3 / 4.5], dtype=torch.float64))


def test_a_class_without_examples_has_none() -> None:
    found = feature_deviation(TRAIN, TRAIN_Y, TEST, TEST_Y, 3)
    assert found.isnan().tolist() == [False, False, True]


def test_subsets_of_the_whole_class_give_the_plain_value() -> None:
    plain = feature_deviation(TRAIN, TRAIN_Y, TEST, TEST_Y, 2)
    torch.testing.assert_close(controlled(TRAIN, TRAIN_Y, TEST, TEST_Y, 2, size=2), plain)


def test_subsets_are_averaged_and_small_classes_left_out() -> None:
    """Single features of class 0 lie 1 and 5 from its test mean."""
    found = controlled(TRAIN, TRAIN_Y, TEST, TEST_Y, 2, size=1, repeats=4000)
    assert found[0].item() == pytest.approx(3 / 4.5, abs=0.05)
    assert controlled(TRAIN, TRAIN_Y, TEST, TEST_Y, 2, size=3).isnan().all()


def test_size_control_removes_what_sample_size_alone_makes() -> None:
    """Both classes come from the same distribution; the small one only looks deviant."""
    generator = torch.Generator().manual_seed(1)
    train, test = (torch.randn(n, 20, generator=generator, dtype=torch.float64) for n in (202, 2000))
    y = torch.tensor([0] * 200 + [1] * 2)
    test_y = torch.arange(2000) % 2
    plain = feature_deviation(train, y, test, test_y, 2)
    same_size = controlled(train, y, test, test_y, 2, size=2)
    assert plain[1] > 5 * plain[0]
    assert 0.6 < (same_size[1] / same_size[0]).item() < 1.6


def test_spearman() -> None:
    a = torch.tensor([0.1, 0.5, math.nan, 0.3, 0.2])
    b = torch.tensor([4.0, 1.0, 9.0, 2.0, 2.0])
    keep = [0, 1, 3, 4]
    expected = spearmanr(a[keep], b[keep]).statistic
    assert spearman(a, b) == pytest.approx(expected)
    assert math.isnan(spearman(torch.tensor([1.0, math.nan]), torch.tensor([1.0, 2.0])))
    assert math.isnan(spearman(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 3.0])))
