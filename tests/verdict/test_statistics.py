"""The statistics against SciPy's own, and the promises that tests and bounds make together."""

from __future__ import annotations

import pytest
import scipy.stats
from hypothesis import assume, given
from hypothesis import strategies as st

from imbtui.verdict.statistics import Mean, more_often, share_difference_bounds, slope

FINITE = st.floats(-1e3, 1e3).map(lambda v: round(v, 4))
VALUES = st.lists(FINITE, min_size=2, max_size=8)


@given(VALUES, FINITE)
def test_p_values_are_those_of_scipy(values: list[float], threshold: float) -> None:
    mean = Mean(values)
    assume(mean.varies)
    above = scipy.stats.ttest_1samp(values, threshold, alternative="greater")
    assert mean.p_above(threshold) == pytest.approx(above.pvalue, rel=1e-6, abs=1e-12)
    below = scipy.stats.ttest_1samp(values, threshold, alternative="less")
    assert mean.p_below(threshold) == pytest.approx(below.pvalue, rel=1e-6, abs=1e-12)
    interval = below.confidence_interval(0.95)
    assert mean.bounds()[1] == pytest.approx(interval.high, rel=1e-6, abs=1e-9)


@given(VALUES, FINITE)
def test_test_and_bounds_agree(values: list[float], threshold: float) -> None:
    mean = Mean(values)
    low, high = mean.bounds()
    assume(min(abs(low - threshold), abs(high - threshold)) > 1e-9)
    assert (mean.p_above(threshold) < 0.05) == (low > threshold)
    assert (mean.p_below(threshold) < 0.05) == (high < threshold)
    assert not (mean.p_above(threshold) < 0.05 and mean.p_below(threshold) < 0.05)


@given(VALUES, FINITE, st.floats(0, 50))
def test_equivalence_is_the_interval_inside(values: list[float], centre: float, within: float) -> None:
    mean = Mean(values)
    low, high = mean.bounds()
    ends = (centre - within, centre + within)
    assume(min(abs(a - b) for a in (low, high) for b in ends) > 1e-9)
    assert (mean.p_within(*ends) < 0.05) == (ends[0] < low and high < ends[1])


def test_without_variance_the_value_decides() -> None:
    tie = Mean([0.3 - 0.25, 0.4 - 0.35], magnitude=0.4)  # 0.05 but for rounding
    assert not tie.varies
    assert tie.bounds() == (tie.mean, tie.mean)
    assert tie.p_above(0.05) == 1.0 and tie.p_below(0.05) == 1.0
    assert tie.p_above(0.049) == 0.0 and tie.p_below(0.051) == 0.0
    assert tie.p_within(0.05, 0.05) == 0.0 and tie.p_within(0.06, 0.07) == 1.0


def test_small_differences_of_large_numbers_are_rounding() -> None:
    assert not Mean([1e-14, 2e-14, -1e-14], magnitude=1.0).varies
    assert Mean([1e-14, 2e-14, -1e-14]).varies


@pytest.mark.parametrize(
    ("table", "p"),
    [((3, 3, 0, 6), 1 / 84), ((5, 5, 0, 10), 1 / 3003), ((0, 5, 0, 5), 1.0), ((0, 3, 6, 6), 1.0)],
)
def test_counts(table: tuple[int, int, int, int], p: float) -> None:
    """The first two are thilak2022 §9."""
    assert more_often(*table) == pytest.approx(p)


def test_bounds_of_a_difference_of_shares() -> None:
    """Newcombe 1998, table II, example (a): 56/70 - 48/80 has the 95 % interval 0.0524 to 0.3339."""
    low, high = share_difference_bounds(56, 70, 48, 80, alpha=0.025)
    assert (low, high) == (pytest.approx(0.0524, abs=5e-5), pytest.approx(0.3339, abs=5e-5))


def test_slope() -> None:
    assert slope([0, 1, 2, 5], [1, 3, 5, 11]) == pytest.approx(2.0)
    assert slope([1, 2, 3], [1, 5, 2]) == pytest.approx(0.5)
