"""Differences that nobody predicted: two-sided, paired by seed, the same figures as SciPy's."""

from __future__ import annotations

import math

import pytest
import scipy.stats
from hypothesis import assume, given
from hypothesis import strategies as st

from imbtui.verdict.difference import paired

VALUES = st.lists(st.tuples(st.floats(-10, 10), st.floats(-10, 10)), min_size=2, max_size=8)


@given(VALUES)
def test_p_and_interval_are_those_of_scipy(pairs: list[tuple[float, float]]) -> None:
    pairs = [(round(a, 3), round(b, 3)) for a, b in pairs]
    found = paired({i: a for i, (a, _) in enumerate(pairs)}, {i: b for i, (_, b) in enumerate(pairs)})
    assume(found.p is not None)
    theirs = scipy.stats.ttest_rel([a for a, _ in pairs], [b for _, b in pairs])
    assert found.p == pytest.approx(theirs.pvalue, rel=1e-6, abs=1e-12)
    interval = theirs.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-6, abs=1e-9)
    assert found.significant == (found.p < 0.05)


def test_seeds_are_paired_by_their_number() -> None:
    found = paired({0: 1.0, 1: 2.0, 7: 9.0}, {1: 1.5, 0: 0.0, 3: 0.0})
    assert dict(found.per_seed) == {0: 1.0, 1: 0.5}
    assert (found.n, found.mean, found.mean_text()) == (2, 0.75, "+0.750")


@pytest.mark.parametrize(
    ("side", "other", "reason"),
    [
        ({0: 1.0}, {1: 1.0}, "no seed in common"),
        ({0: 1.0, 1: 2.0}, {1: 1.0}, "one seed in common"),
        ({0: 1.0, 1: math.nan}, {0: 1.0, 1: 1.0}, "not a finite number"),
        ({0: 1.0, 1: 2.0}, {0: 0.5, 1: 1.5}, "no variance"),
    ],
)
def test_without_a_test_it_is_said_why(side: dict, other: dict, reason: str) -> None:
    found = paired(side, other)
    assert found.p is None and found.p_text() == found.reason == reason
    assert found.to_json()["p"] is None


def test_the_same_difference_in_every_seed_is_known_exactly() -> None:
    found = paired({0: 1.0, 1: 2.0}, {0: 0.5, 1: 1.5})
    assert (found.low, found.high, found.significant) == (0.5, 0.5, True)
    assert not paired({0: 1.0, 1: 2.0}, {0: 1.0, 1: 2.0}).significant
