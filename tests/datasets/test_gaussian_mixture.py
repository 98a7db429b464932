"""Gaussian mixtures: both forms draw exactly what kini2021 §10 and §11 describe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imbtui.datasets.gaussian_mixture import GaussianMixture
from imbtui.errors import UserError

NOWHERE = Path("no such folder")


def test_classes() -> None:
    splits = GaussianMixture().load(NOWHERE, split_seed=3)
    noise = np.random.RandomState(3).randn(100, 300)
    noise[:10, 0] += 4
    noise[10:, 1] -= 4
    np.testing.assert_array_equal(splits.train.x, noise.astype(np.float32))
    assert splits.train.targets.tolist() == [1] * 10 + [0] * 90
    assert splits.train.group is None
    assert splits.test.class_counts(2).tolist() == [250, 250]
    means = splits.extra["means"]
    assert means.targets.tolist() == [1, 0]
    assert (means.x[0, 0], means.x[1, 1], np.count_nonzero(means.x)) == (4, -4, 2)


def test_groups() -> None:
    splits = GaussianMixture(form="groups").load(NOWHERE, split_seed=1)
    train = splits.train
    assert train.x.shape == (176, 400)
    assert train.targets.tolist() == [1] * 80 + [0] * 80 + [1] * 8 + [0] * 8
    assert train.group is not None
    assert train.group_counts(2, 4).tolist() == [[80, 8, 0, 0], [0, 0, 8, 80]]
    noise = np.random.RandomState(1).randn(176, 400)
    y, g = 2 * train.targets - 1, np.repeat([1, -1, -1, 1], [80, 80, 8, 8])
    noise[:, 0] += 2.5 * y
    noise[:, 1] += 3 * g
    np.testing.assert_array_equal(train.x, noise.astype(np.float32))
    assert splits.extra["means"].group is not None
    assert sorted(splits.extra["means"].group.tolist()) == [0, 1, 2, 3]


def test_test_points_come_from_the_same_gaussians() -> None:
    splits = GaussianMixture(dimension=2, test_per_component=20_000).load(NOWHERE, split_seed=0)
    for mean, label in zip(splits.extra["means"].x, (1, 0), strict=True):
        own = splits.test.x[splits.test.targets == label]
        np.testing.assert_allclose(own.mean(0), mean, atol=0.05)
        np.testing.assert_allclose(np.cov(own.T), np.eye(2), atol=0.05)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"counts": [10]}, "has 2 counts and 1 are given"),
        ({"form": "groups", "counts": [10, 90]}, "has 4 counts and 2 are given"),
        ({"shifts": [1.0, 2.0, 3.0]}, "has 2 shifts and 3 are given"),
        ({"dimension": 1}, "two dimensions"),
    ],
)
def test_options_that_do_not_fit(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        GaussianMixture(**options)
