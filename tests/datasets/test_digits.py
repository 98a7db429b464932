"""Digits: the protocols draw exactly what the specs describe."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from imbtui.corruptions.long_tail import LongTail
from imbtui.datasets.digits import Digits, read_digits
from imbtui.errors import UserError

NOWHERE = Path("no such folder")


def test_images_are_scikit_learns() -> None:
    x, y = read_digits()
    bunch = load_digits()
    assert x.dtype == np.float32
    assert x.shape == (1797, 8, 8, 1)
    np.testing.assert_array_equal(x[..., 0], (bunch.images / 16).astype(np.float32))
    np.testing.assert_array_equal(y, bunch.target)


def test_split_is_one_permutation_cut_in_three() -> None:
    """frankle2019 §10."""
    splits = Digits().load(NOWHERE, split_seed=3)
    order = np.random.RandomState(3).permutation(1797)
    assert splits.val is not None
    np.testing.assert_array_equal(splits.train.index, order[:1000])
    np.testing.assert_array_equal(splits.val.index, order[1000:1300])
    np.testing.assert_array_equal(splits.test.index, order[1300:])
    assert len(splits.test) == 497
    np.testing.assert_array_equal(splits.train.targets, load_digits().target[order[:1000]])
    assert Digits(n_val=0).load(NOWHERE, split_seed=3).val is None


def test_split_needs_a_test_example() -> None:
    with pytest.raises(UserError, match="1500 training and 297 validation"):
        Digits(n_train=1500, n_val=297).load(NOWHERE, split_seed=0)


@pytest.mark.parametrize(("seed", "n_test"), [(0, 360), (1, 360), (2, 77)])
def test_stratified_split_is_scikit_learns(seed: int, n_test: int) -> None:
    """zhang2017 §9, arpit2017 §8."""
    splits = Digits(protocol="stratified", n_test=n_test).load(NOWHERE, split_seed=seed)
    target = load_digits().target
    train, test = train_test_split(range(1797), test_size=n_test, stratify=target, random_state=seed)
    np.testing.assert_array_equal(splits.train.index, train)
    np.testing.assert_array_equal(splits.test.index, test)
    np.testing.assert_array_equal(splits.train.targets, target[train])


def test_stratified_split_needs_a_training_example() -> None:
    with pytest.raises(UserError, match="leave no training example"):
        Digits(protocol="stratified", n_test=1797).load(NOWHERE, split_seed=0)


@pytest.mark.parametrize("seed", [0, 1])
def test_long_tail_is_the_shared_protocol(seed: int) -> None:
    """cao2019 §10, written out as the spec does."""
    target = load_digits().target
    rng = np.random.RandomState(seed)
    order = rng.permutation(10)
    counts = [120, 71, 43, 25, 15, 9, 5, 3, 2, 1]
    train: list[int] = []
    test: list[int] = []
    for rank, count in enumerate(counts):
        positions = np.where(target == order[rank])[0]
        rng.shuffle(positions)
        test += positions[:50].tolist()
        train += positions[50 : 50 + count].tolist()

    splits = Digits(protocol="long_tail").load(NOWHERE, split_seed=seed)
    thinned = LongTail(ratio=100, n_max=120)(splits.train, 10, split_seed=seed, seed=99)
    assert thinned.index.tolist() == train
    assert splits.test.index.tolist() == test
    assert thinned.class_counts(10).tolist() == counts
    assert len(thinned) == 294
    assert splits.test.class_counts(10).tolist() == [50] * 10
    assert splits.class_names == tuple(f"digit {digit}" for digit in order)
    assert not set(splits.train.index) & set(splits.test.index)
    assert len(splits.train) + len(splits.test) == 1797


def test_long_tail_needs_training_examples() -> None:
    assert Digits(protocol="long_tail", test_per_class=173).load(NOWHERE, split_seed=0)
    with pytest.raises(UserError, match="At most 173"):
        Digits(protocol="long_tail", test_per_class=174).load(NOWHERE, split_seed=0)


@pytest.mark.parametrize("seed", [0, 4])
def test_transfer_sets_half_of_the_digits_aside(seed: int) -> None:
    """kornblith2021 §9: one generator draws classes, split and labelled images."""
    y = load_digits().target
    rng = np.random.RandomState(seed)
    classes = rng.permutation(10)
    own = rng.permutation(np.flatnonzero(np.isin(y, classes[:5])))
    labelled = [rng.permutation(np.flatnonzero(y == digit))[:10] for digit in classes[5:]]

    splits = Digits(protocol="transfer").load(NOWHERE, split_seed=seed)
    cut = round(0.7 * len(own))
    assert splits.train.index.tolist() == own[:cut].tolist()
    assert splits.test.index.tolist() == own[cut:].tolist()
    np.testing.assert_array_equal(classes[splits.train.targets], y[splits.train.index])
    few, rest = splits.extra["transfer_train"], splits.extra["transfer_test"]
    assert few.index.tolist() == np.concatenate(labelled).tolist()
    np.testing.assert_array_equal(classes[5:][rest.targets], y[rest.index])
    everything = np.concatenate([e.index for e in (splits.train, splits.test, few, rest)])
    assert sorted(everything.tolist()) == list(range(1797))


def test_transfer_needs_images_to_test_on() -> None:
    with pytest.raises(UserError, match="At most 173"):
        Digits(protocol="transfer", transfer_per_class=174).load(NOWHERE, split_seed=0)
