"""Early stops, and what makes a winning ticket (frankle2019 §2 and §8)."""

from __future__ import annotations

import math

import pytest

from imbtui.numerics.early_stopping import (
    early_stop,
    is_winning,
    smallest_winning_density,
    speedup,
    steps_to,
)


def test_the_early_stop_is_at_the_lowest_loss_and_of_equal_ones_at_the_earliest() -> None:
    assert early_stop([0, 100, 200, 300], [2.3, 0.4, 0.4, 0.5]) == 100
    assert early_stop([0, 100, 200], [2.3, math.nan, 0.9]) == 200
    with pytest.raises(ValueError, match="no validation loss"):
        early_stop([0], [math.nan])


def test_the_first_step_that_reaches_an_accuracy() -> None:
    assert steps_to([0, 10, 20, 30], [0.1, 0.9, 0.8, 0.95], 0.9) == 10
    assert steps_to([0, 10], [0.1, 0.2], 0.9) is None


def test_a_winning_ticket_is_neither_later_nor_less_accurate() -> None:
    dense = {"dense_step": 500, "dense_accuracy": 0.97}
    assert is_winning(500, 0.97, **dense)
    assert is_winning(200, 0.98, **dense)
    assert not is_winning(501, 0.99, **dense)
    assert not is_winning(100, 0.969, **dense)


def test_speed_and_smallest_density() -> None:
    assert speedup(200, dense_step=500) == 2.5
    assert speedup(0, dense_step=500) == math.inf
    assert smallest_winning_density([1.0, 0.5, 0.2, 0.1], [True, True, True, False]) == 0.2
    assert smallest_winning_density([0.5], [False]) is None
