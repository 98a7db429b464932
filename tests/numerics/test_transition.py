"""Estimation of transition matrices: the worked example of patrini2017 §8, and its gotchas."""

from __future__ import annotations

import numpy as np
import pytest

from imbtui.numerics.transition import anchors, estimate_transition, overfiltered_classes, row_l1_error

POSTERIORS = np.array(
    [
        [0.96, 0.02, 0.02],
        [0.70, 0.25, 0.05],
        [0.60, 0.30, 0.10],
        [0.10, 0.85, 0.05],
        [0.05, 0.65, 0.30],
        [0.02, 0.08, 0.90],
        [0.20, 0.10, 0.70],
        [0.25, 0.15, 0.60],
    ]
)


def test_worked_example() -> None:
    assert anchors(POSTERIORS, 100).tolist() == [0, 3, 5]
    np.testing.assert_allclose(estimate_transition(POSTERIORS, 100), POSTERIORS[[0, 3, 5]], atol=1e-15)
    expected = [[0.70, 0.25, 0.05], [0.05, 0.65, 0.30], [0.20, 0.10, 0.70]]
    np.testing.assert_allclose(estimate_transition(POSTERIORS, 97), expected, atol=1e-12)


def test_filtering_one_class_leaves_the_rows_of_others_alone() -> None:
    """patrini2017 §7.2: the released code zeroes entries in the array that it reads rows from."""
    posteriors = np.array([[0.5, 0.5], [0.45, 0.55], [0.9, 0.1], [0.2, 0.8]])
    before = posteriors.copy()
    estimate = estimate_transition(posteriors, 97)
    np.testing.assert_array_equal(posteriors, before)
    np.testing.assert_allclose(estimate, [[0.5, 0.5], [0.45, 0.55]])


def test_rows_sum_to_one() -> None:
    estimate = estimate_transition(3 * POSTERIORS, 97)
    np.testing.assert_allclose(estimate.sum(1), 1)


def test_classes_that_the_percentile_removes_are_named() -> None:
    """patrini2017 §7.3."""
    rare = np.full((100, 3), 0.1)
    rare[:3, 2] = rare[3:50, 0] = rare[50:, 1] = 0.8
    assert overfiltered_classes(rare, 97) == [2]
    assert overfiltered_classes(rare, 98) == []
    assert overfiltered_classes(rare, 100) == []


def test_row_l1_error() -> None:
    """patrini2017 §9: the mean over rows of summed absolute differences."""
    assert row_l1_error(np.array([[0.5, 0.5], [0.0, 1.0]]), np.eye(2)) == pytest.approx(0.5)
