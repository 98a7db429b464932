"""Long-tailed and step class sizes, and which examples stay."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imbtui.corruptions.long_tail import LongTail, long_tail_counts
from imbtui.engine.examples import Examples
from imbtui.errors import UserError


def examples_of(counts: list[int], seed: int = 0) -> Examples:
    """Return shuffled examples with that many of each class."""
    y = np.random.RandomState(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    return Examples.of(np.arange(len(y), dtype=np.float32)[:, None], y)


@pytest.mark.parametrize(
    ("n_max", "classes", "ratio", "profile", "counts"),
    [
        (100, 5, 20, "exp", [100, 47, 22, 10, 5]),  # cao2019 §3
        (100, 6, 10, "step", [100, 100, 100, 10, 10, 10]),  # cao2019 §3
        (120, 10, 100, "exp", [120, 71, 43, 25, 15, 9, 5, 3, 2, 1]),  # cao2019 §10
        (5000, 10, 100, "exp", [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]),
        (100, 5, 10, "step", [100, 100, 100, 10, 10]),
        (100, 3, 1, "exp", [100, 100, 100]),
        (7, 1, 10, "exp", [7]),
    ],
)
def test_counts(n_max: int, classes: int, ratio: float, profile, counts: list[int]) -> None:
    assert long_tail_counts(n_max, classes, ratio, profile) == counts


@given(
    n_max=st.integers(1, 10_000),
    classes=st.integers(2, 200),
    ratio=st.floats(1, 1000),
    profile=st.sampled_from(["exp", "step"]),
)
def test_counts_fall_from_n_max_to_n_max_over_ratio(n_max: int, classes: int, ratio: float, profile) -> None:
    counts = long_tail_counts(n_max, classes, ratio, profile)
    assert len(counts) == classes
    assert counts[0] == n_max
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == int(n_max * (1 / ratio))


def test_first_keeps_the_first_of_each_class() -> None:
    examples = examples_of([30, 30, 30])
    kept = LongTail(ratio=4, n_max=16)(examples, 3, split_seed=5, seed=6)
    expected = [np.flatnonzero(examples.targets == c)[:n] for c, n in enumerate([16, 8, 4])]
    np.testing.assert_array_equal(kept.index, np.concatenate(expected))
    np.testing.assert_array_equal(kept.x[:, 0], kept.index)


def test_shuffle_is_the_papers_subset() -> None:
    """cao2019 §3: seed numpy's global generator, shuffle each class's indices in place, keep the first."""
    examples = examples_of([500] * 4)
    np.random.seed(0)
    expected = []
    for label, count in enumerate(long_tail_counts(500, 4, 50, "exp")):
        indices = np.where(examples.targets == label)[0]
        np.random.shuffle(indices)
        expected.append(indices[:count])
    kept = LongTail(ratio=50, pick="shuffle")(examples, 4, split_seed=0, seed=123)
    np.testing.assert_array_equal(kept.index, np.concatenate(expected))
    other = LongTail(ratio=50, pick="shuffle")(examples, 4, split_seed=1, seed=123)
    assert other.index.tolist() != kept.index.tolist()


def test_n_max_by_default() -> None:
    assert LongTail(ratio=10)(examples_of([60] * 3), 3, split_seed=0, seed=0).class_counts(3).tolist() == [
        60,
        18,
        6,
    ]
    # Unequal classes, as in MNIST: the head cannot give the average, so it gives what it has.
    unequal = LongTail(ratio=10)(examples_of([50, 70, 60]), 3, split_seed=0, seed=0)
    assert unequal.class_counts(3).tolist() == [50, 15, 5]


def test_what_cannot_be_kept_is_one_sentence() -> None:
    with pytest.raises(UserError, match="class 1 should keep 31 training examples but has 20"):
        LongTail(ratio=10, n_max=100)(examples_of([100, 20, 100]), 3, split_seed=0, seed=0)
    with pytest.raises(UserError, match="at ratio 1000 class 2 would keep no training example"):
        LongTail(ratio=1000, n_max=100)(examples_of([100] * 3), 3, split_seed=0, seed=0)
    with pytest.raises(UserError, match="class 0 would keep no training example"):
        LongTail()(examples_of([0, 5, 5]), 3, split_seed=0, seed=0)
