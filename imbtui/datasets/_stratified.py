"""A random split that keeps the share of every class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def stratified_split(
    targets: NDArray[np.int64], n_train: int, n_test: int, rng: np.random.RandomState
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return shuffled positions of training and test examples, each class in its share of both.

    The draw is that of scikit-learn's `train_test_split(stratify=targets, random_state=...)`. Importing it
    would take every run longer than everything else that it does before training.

    Args:
        targets: classes (N,), from 0 on.
        n_train, n_test: examples of either part, together at most N.
        rng: a fresh generator of the split's seed.
    """
    counts = np.bincount(targets)
    of_train = class_shares(counts, n_train, rng)
    of_test = class_shares(counts - of_train, n_test, rng)
    train, test = [], []
    for label, count in enumerate(counts):
        members = np.flatnonzero(targets == label)[rng.permutation(count)]
        train.append(members[: of_train[label]])
        test.append(members[of_train[label] :][: of_test[label]])
    return rng.permutation(np.concatenate(train)), rng.permutation(np.concatenate(test))


def class_shares(counts: NDArray[np.int64], total: int, rng: np.random.RandomState) -> NDArray[np.int64]:
    """Return how many of `total` examples each class gives, (K,), in proportion to `counts`.

    What rounding down leaves over goes to the largest remainders; equal ones draw for it.
    """
    exact = counts / counts.sum() * total
    shares = np.floor(exact).astype(np.int64)
    remainder = exact - shares
    missing = total - int(shares.sum())
    for value in np.unique(remainder)[::-1]:
        if missing <= 0:
            break
        equal = np.flatnonzero(remainder == value)
        chosen = rng.choice(equal, size=min(len(equal), missing), replace=False)
        shares[chosen] += 1
        missing -= len(chosen)
    return shares
