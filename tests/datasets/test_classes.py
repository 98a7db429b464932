"""Tasks made of some of a data set's classes: digits and CIFAR-10 pairs, with their probe examples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imbtui.datasets.cifar10 import CIFAR10
from imbtui.datasets.digits import Digits, read_digits
from imbtui.errors import UserError

NOWHERE = Path("no such folder")


def test_digits_pair() -> None:
    """byrd2019 §10: one generator permutes the threes, then the fives, then draws the noise."""
    splits = Digits(protocol="classes").load(NOWHERE, split_seed=2)
    x, y = read_digits()
    rng = np.random.RandomState(2)
    threes, fives = (rng.permutation(np.flatnonzero(y == digit)) for digit in (3, 5))
    noise = rng.rand(1000, 64).astype(np.float32)
    np.testing.assert_array_equal(splits.train.index, [*threes[:130], *fives[:130]])
    np.testing.assert_array_equal(splits.test.index, [*threes[130:180], *fives[130:180]])
    assert splits.train.targets.tolist() == [0] * 130 + [1] * 130
    assert splits.test.targets.tolist() == [0] * 50 + [1] * 50
    assert splits.train.clean_targets.tolist() == splits.train.targets.tolist()
    assert splits.class_names == ("digit 3", "digit 5")
    np.testing.assert_array_equal(splits.extra["noise"].x.reshape(1000, 64), noise)
    others = splits.extra["other_classes"]
    np.testing.assert_array_equal(others.x, x[(y != 3) & (y != 5)])
    assert set(others.targets.tolist()) == {0, 1, 2, 4, 6, 7, 8, 9}


def test_labels_are_positions_in_the_list() -> None:
    splits = Digits(protocol="classes", classes=[9, 0, 4], train_per_class=20).load(NOWHERE, split_seed=0)
    _, y = read_digits()
    assert splits.num_classes == 3
    assert y[splits.train.index].tolist() == [9] * 20 + [0] * 20 + [4] * 20
    assert splits.train.targets.tolist() == [0] * 20 + [1] * 20 + [2] * 20


def test_too_many_images_of_a_digit() -> None:
    with pytest.raises(UserError, match="178 images of the digit 0"):
        Digits(protocol="classes", classes=[0, 1], train_per_class=170).load(NOWHERE, split_seed=0)


@pytest.mark.parametrize("classes", [[3], [3, 3], [3, 10], []])
@pytest.mark.parametrize("kind", [Digits, CIFAR10])
def test_classes_that_make_no_task(kind: Any, classes: list[int]) -> None:
    with pytest.raises(UserError, match="two or more different classes from 0 to 9"):
        kind(classes=classes)


def test_cats_and_dogs(data_root: Path) -> None:
    """byrd2019 §3."""
    whole = CIFAR10(form="small").load(data_root, split_seed=0)
    splits = CIFAR10(form="small", classes=[3, 5]).load(data_root, split_seed=0)
    assert splits.class_names == ("cat", "dog")
    assert splits.train.class_counts(2).tolist() == [1000, 1000]
    assert splits.test.class_counts(2).tolist() == [200, 200]
    dogs = whole.train.x[whole.train.targets == 5]
    np.testing.assert_array_equal(splits.train.x[splits.train.targets == 1], dogs)
    assert len(splits.extra["other_classes"]) == 1600
    noise = splits.extra["noise"].x
    assert noise.shape == (1000, 32, 32, 3)
    assert 0 <= noise.min() < 0.01
    assert 0.99 < noise.max() <= 1
    assert whole.extra == {}
