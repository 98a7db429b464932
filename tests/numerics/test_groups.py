"""Errors of groups, and weights by group."""

from __future__ import annotations

import math

import numpy as np
import pytest

from imbtui.numerics.groups import (
    balanced_error,
    cell_errors,
    equal_opportunity_difference,
    symmetric_deo,
    worst_error,
)

NAN = math.nan


def test_two_labels_with_two_groups() -> None:
    """kini2021 §6."""
    cells = cell_errors(np.array([[1.0, 4.0], [3.0, 0.0]]), np.array([[10.0, 10.0], [6.0, 2.0]]))
    np.testing.assert_allclose(cells, [[0.1, 0.4], [0.5, 0.0]])
    assert worst_error(cells) == 0.5
    assert balanced_error(cells) == pytest.approx(0.25)
    np.testing.assert_allclose(equal_opportunity_difference(cells), [0.3, 0.5])
    assert symmetric_deo(cells) == pytest.approx(0.4)


def test_groups_whose_number_tells_their_label() -> None:
    """Half of the cells are empty; the other half counts as before."""
    errors = np.array([[1.0, 4.0, 0.0, 0.0], [0.0, 0.0, 3.0, 0.0]])
    totals = np.array([[10.0, 10.0, 0.0, 0.0], [0.0, 0.0, 6.0, 2.0]])
    cells = cell_errors(errors, totals)
    assert np.isnan(cells).tolist() == [[False, False, True, True], [True, True, False, False]]
    assert (worst_error(cells), balanced_error(cells)) == (0.5, pytest.approx(0.25))
    assert symmetric_deo(cells) == pytest.approx(0.4)


def test_several_groups_and_a_label_with_one() -> None:
    cells = np.array([[0.1, 0.3, 0.2], [0.4, NAN, NAN]])
    deo = equal_opportunity_difference(cells)
    assert deo[0] == pytest.approx(0.2)
    assert np.isnan(deo[1])
    assert symmetric_deo(cells) == pytest.approx(0.2)
    assert math.isnan(symmetric_deo(cells[1:]))
