"""Subsets: how many, which, in which order."""

from __future__ import annotations

import numpy as np
import pytest

from imbtui.corruptions.subset import Subset
from imbtui.engine.examples import Examples
from imbtui.errors import UserError


@pytest.fixture
def examples() -> Examples:
    return Examples.of(np.zeros((90, 1)), np.repeat([0, 1, 2], [50, 30, 10]))


@pytest.mark.parametrize(
    ("options", "count"), [({"n": 7}, 7), ({"fraction": 0.5}, 45), ({"fraction": 1.0}, 90)]
)
def test_keeps_that_many_in_order(examples: Examples, options: dict, count: int) -> None:
    kept = Subset(**options)(examples, 3, split_seed=0, seed=0)
    assert len(kept) == count
    assert (np.diff(kept.index) > 0).all()


def test_per_class(examples: Examples) -> None:
    kept = Subset(per_class=10)(examples, 3, split_seed=0, seed=0)
    assert kept.class_counts(3).tolist() == [10, 10, 10]


@pytest.mark.parametrize("options", [{"n": 20}, {"per_class": 5}])
def test_split_seed_chooses(examples: Examples, options: dict) -> None:
    def drawn(split_seed: int, seed: int) -> list[int]:
        return Subset(**options)(examples, 3, split_seed=split_seed, seed=seed).index.tolist()

    assert drawn(0, 0) == drawn(0, 1)
    assert drawn(0, 0) != drawn(1, 0)


def test_smaller_is_part_of_larger(examples: Examples) -> None:
    small, large = (set(Subset(n=n)(examples, 3, split_seed=0, seed=0).index) for n in (10, 40))
    assert small < large


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"n": 91}, "91 training examples are asked for and 90 are there"),
        ({"per_class": 11}, "class 2 has 10 training examples and 11 are asked for"),
    ],
)
def test_too_many_is_one_sentence(examples: Examples, options: dict, says: str) -> None:
    with pytest.raises(UserError, match=says):
        Subset(**options)(examples, 3, split_seed=0, seed=0)


@pytest.mark.parametrize("options", [{}, {"n": 1, "per_class": 1}, {"n": 1, "fraction": 0.5}])
def test_exactly_one_option(options: dict) -> None:
    with pytest.raises(UserError, match="give one of"):
        Subset(**options)


def test_the_first_examples_whatever_the_seed() -> None:
    examples = Examples.of(np.zeros((30, 1)), np.arange(30) % 3)
    for seed in (0, 1):
        of_all = Subset(n=5, pick="first")(examples, 3, split_seed=seed, seed=0)
        of_each = Subset(per_class=2, pick="first")(examples, 3, split_seed=seed, seed=0)
        assert of_all.index.tolist() == [0, 1, 2, 3, 4]
        assert of_each.index.tolist() == [0, 1, 2, 3, 4, 5]
