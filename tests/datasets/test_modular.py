"""Tables of binary operations: rows, their order, the split that is the same for all, tokens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from imbtui.datasets.modular import OPERATIONS, PERMUTATIONS, Modular, shuffled, table, train_rows
from imbtui.errors import UserError


def test_division_is_made_backwards() -> None:
    """thilak2022 §8 A."""
    rows = table("x/y", 5)
    assert len(rows) == 20
    first = [[0, 1, 0], [0, 2, 0], [0, 3, 0], [0, 4, 0], [1, 1, 1], [2, 2, 1], [3, 3, 1], [4, 4, 1]]
    assert rows[:8].tolist() == first
    assert train_rows(20, 0.33) == 7
    assert len(table("x/y", 97)) == 9312
    assert train_rows(9409, 0.5) == 4704, "halves go to the even number"


@pytest.mark.parametrize(
    ("operation", "value"),
    [
        ("x+y", lambda x, y: x + y),
        ("x-y", lambda x, y: x - y),
        ("x*y", lambda x, y: x * y),
        ("x^2+y^2", lambda x, y: x * x + y * y),
        ("x^2+xy+y^2", lambda x, y: x * x + x * y + y * y),
        ("x^2+xy+y^2+x", lambda x, y: x * x + x * y + y * y + x),
        ("x^3+xy", lambda x, y: x**3 + x * y),
        ("x^3+xy^2+y", lambda x, y: x**3 + x * y * y + y),
        ("x/y if y odd else x-y", lambda x, y: x * pow(y, 5, 7) if y % 2 else x - y),
        ("x+y if x even else x*y", lambda x, y: x * y if x % 2 else x + y),
        ("x+y if x even else x-y", lambda x, y: x - y if x % 2 else x + y),
    ],
)
def test_rows_hold_all_pairs_in_product_order(operation: str, value) -> None:  # type: ignore[no-untyped-def]
    rows = table(operation, 7)
    assert rows.tolist() == [[x, y, value(x, y) % 7] for x in range(7) for y in range(7)]


def test_permutations_are_composed() -> None:
    rng = np.random.default_rng(0)
    for operation, expected in (
        ("s5", lambda a, b, i: b[a[i]]),
        ("s5_conjugate", lambda a, b, i: a.tolist().index(b[a[i]])),
        ("s5_aba", lambda a, b, i: a[b[a[i]]]),
    ):
        rows = table(operation, 97)
        assert len(rows) == 14400
        for x, y, z in rows[rng.integers(0, len(rows), 20)]:
            a, b, c = PERMUTATIONS[[x, y, z]]
            assert [expected(a, b, i) for i in range(5)] == c.tolist(), operation


def test_the_list_of_rows_is_what_numpy_shuffles() -> None:
    rows = table("x+y", 5)
    as_list = [tuple(row) for row in rows.tolist()]
    np.random.RandomState(3).shuffle(as_list)
    assert [tuple(row) for row in shuffled(rows, 3).tolist()] == as_list


def test_the_split_is_the_same_for_all_seeds_unless_asked() -> None:
    def inputs(split_seed: int, **options: bool) -> list[list[int]]:
        return (
            Modular(p=13, train_fraction=0.7, **options).load(Path(), split_seed=split_seed).train.x.tolist()
        )

    assert len(inputs(0)) == 109
    assert inputs(0) == inputs(7) == inputs(0, fixed_split=False)
    assert inputs(7) != inputs(7, fixed_split=False)


def test_rows_as_tokens() -> None:
    pair, compact, official = (
        Modular(p=5, tokens=tokens).load(Path(), split_seed=0) for tokens in ("pair", "compact", "official")
    )
    assert (pair.vocabulary, pair.num_classes) == (5, 5)
    assert (compact.vocabulary, compact.num_classes) == (7, 5)
    size = 2 + len(OPERATIONS) + 5 + 120
    assert (official.vocabulary, official.num_classes) == (size, size)
    a, b = pair.train.x.T
    assert (a == pair.train.targets * b % 5).all()
    assert compact.train.x.tolist() == [[x, 5, y, 6] for x, y in pair.train.x.tolist()]
    first, division = 2 + len(OPERATIONS), 2 + OPERATIONS.index("x/y")
    assert official.train.x.tolist() == [
        [0, first + x, division, first + y, 1] for x, y in pair.train.x.tolist()
    ]
    assert (official.train.targets == first + pair.train.targets).all()
    s5 = Modular(operation="s5", tokens="official").load(Path(), split_seed=0)
    assert s5.train.targets.max() == s5.vocabulary - 1


def test_division_needs_a_prime_and_a_split_two_parts() -> None:
    with pytest.raises(UserError, match=r"dataset\.p: not every number can be divided by modulo 12"):
        Modular(p=12)
    Modular(operation="x*y", p=12)
    with pytest.raises(UserError, match=r"dataset\.train_fraction: 20 of 20 rows"):
        Modular(p=5, train_fraction=1.0).load(Path(), split_seed=0)
