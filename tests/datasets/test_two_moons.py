"""Two moons: where the points of each class and of the distant cluster lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from imbtui.datasets.two_moons import TwoMoons


def test_moons_are_set_apart_and_the_cluster_is_where_it_should_be() -> None:
    splits = TwoMoons(noise=0.0, grid=50).load(Path(), split_seed=0)
    x, y = splits.train.x, splits.train.targets
    assert (len(splits.train), len(splits.test), np.bincount(y).tolist()) == (1000, 1000, [500, 500])
    upper = x[y == 0] - (-0.1, 0.2)
    assert np.hypot(*upper.T) == pytest.approx(np.ones(500), abs=1e-6)
    lower = x[y == 1] - (0.1, -0.2)
    assert np.hypot(*(lower - (1, 0.5)).T) == pytest.approx(np.ones(500), abs=1e-6)
    ood = splits.extra["ood"].x
    assert ood.mean(0) == pytest.approx([2.5, -1.75], abs=0.02)
    assert ood.std(0) == pytest.approx([0.1, 0.1], rel=0.1)
    grid = splits.extra["grid"].x
    assert len(grid) == 2500
    assert (*grid.min(0), *grid.max(0)) == (-3.5, -2.5, 3.5, 2.5)


def test_seeds_draw_anew_and_test_points_are_others() -> None:
    first, again, other = (TwoMoons().load(Path(), split_seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first.train.x, again.train.x)
    assert not np.array_equal(first.train.x, other.train.x)
    assert not np.isin(first.test.x[:, 0], first.train.x[:, 0]).any()
