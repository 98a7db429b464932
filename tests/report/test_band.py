"""Mean curves and their bands against arithmetic by hand."""

from __future__ import annotations

import math

import pytest

from imbtui.report.band import MOST_POINTS, mean_band


def test_mean_and_sd_at_each_position() -> None:
    band = mean_band([([1, 2, 3], [1.0, 2.0, 3.0]), ([1, 2, 3], [3.0, 2.0, 7.0])])
    assert list(band.x) == [1, 2, 3] and list(band.mean) == [2, 2, 5]
    assert list(band.low) == pytest.approx([2 - math.sqrt(2), 2, 5 - math.sqrt(8)])
    assert list(band.high) == pytest.approx([2 + math.sqrt(2), 2, 5 + math.sqrt(8)])


def test_a_curve_that_has_not_come_as_far_counts_only_where_it_is() -> None:
    band = mean_band([([1, 2, 3, 4], [1.0, 1.0, 1.0, 1.0]), ([1, 2], [3.0, 3.0])])
    assert list(band.mean) == [2, 2, 1, 1]
    assert band.low[2:] == band.high[2:] == band.mean[2:]


def test_other_positions_are_interpolated() -> None:
    band = mean_band([([0, 1, 2, 3], [0.0, 0.0, 0.0, 0.0]), ([0.5, 2.5], [1.0, 3.0])])
    assert list(band.mean) == [0, 0.75, 1.25, 0]


def test_one_curve_has_no_band_and_none_is_empty() -> None:
    band = mean_band([([], []), ([1, 2], [5.0, 6.0])])
    assert (list(band.mean), list(band.low)) == ([5, 6], [])
    assert list(mean_band([]).x) == []


def test_long_curves_are_thinned_and_keep_their_end() -> None:
    x = list(range(100_000))
    band = mean_band([(x, x), (x, x)])
    assert len(band.x) <= MOST_POINTS + 1
    assert (band.x[0], band.x[-1], band.mean[-1]) == (0, 99_999, 99_999)
