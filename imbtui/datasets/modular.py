"""Tables of a binary operation modulo p or on permutations, as tokens: small data that networks can grok."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from imbtui.engine.examples import DataSplits, Examples
from imbtui.errors import UserError
from imbtui.option_types import Count, Rate

INPUTS = "tokens"
FILES: tuple[tuple[str, ...], ...] = ()
OPERATIONS = (
    "x+y",
    "x-y",
    "x*y",
    "x/y",
    "x^2+y^2",
    "x^2+xy+y^2",
    "x^2+xy+y^2+x",
    "x^3+xy",
    "x^3+xy^2+y",
    "x/y if y odd else x-y",
    "x+y if x even else x*y",
    "x+y if x even else x-y",
    "s5",
    "s5_conjugate",
    "s5_aba",
)
"""Their order numbers the operators in the official vocabulary."""
PERMUTATIONS = np.array(list(itertools.permutations(range(5))))
"""The elements of S5, (120, 5), in the order that numbers them."""


class Modular:
    """Every row `a op b = c` of a table; a random share is trained on, the rest tested on (thilak2022 §2).

    Inputs are tokens, (N, T) int64:

    | tokens | input | classes |
    | --- | --- | --- |
    | compact | a, op, b, =; vocabulary: the n elements, op, = | n |
    | official | eos, a, op, b, =; vocabulary: eos, =, all operators, 0 to p - 1, S5 | the vocabulary |
    | pair | a, b; vocabulary: the n elements | n |

    The official code also predicts an eos behind c. It is the same in every row, so it is left out here.

    Args:
        operation: of a and b modulo p; `s5` composes permutations (first a, then b), `s5_conjugate` is
            a, b, then the inverse of a, and `s5_aba` a, b, then a.
        p: the modulus; `s5` operations ignore it.
        train_fraction: share of the rows to train on.
        tokens: how a row is written.
        fixed_split: shuffle with seed 0 whatever the recipe's `split_seed` is, as the official code does.
    """

    def __init__(
        self,
        *,
        operation: Literal[
            "x+y",
            "x-y",
            "x*y",
            "x/y",
            "x^2+y^2",
            "x^2+xy+y^2",
            "x^2+xy+y^2+x",
            "x^3+xy",
            "x^3+xy^2+y",
            "x/y if y odd else x-y",
            "x+y if x even else x*y",
            "x+y if x even else x-y",
            "s5",
            "s5_conjugate",
            "s5_aba",
        ] = "x/y",
        p: Count = 97,
        train_fraction: Rate = 0.5,
        tokens: Literal["compact", "official", "pair"] = "compact",
        fixed_split: bool = True,
    ) -> None:
        if "/" in operation and not _is_prime(p):
            raise UserError(
                f"not every number can be divided by modulo {p}", where="dataset.p", hint="Give a prime."
            )
        self.operation = operation
        self.elements = len(PERMUTATIONS) if operation.startswith("s5") else p
        self.p = p
        self.train_fraction = train_fraction
        self.tokens: Literal["compact", "official", "pair"] = tokens
        self.fixed_split = fixed_split

    def load(self, root: Path, *, split_seed: int) -> DataSplits:
        """Make the table and split it; the data root is not used.

        Raises:
            UserError: no row is left to train or to test on.
        """
        rows = shuffled(table(self.operation, self.p), 0 if self.fixed_split else split_seed)
        train = train_rows(len(rows), self.train_fraction)
        if train in (0, len(rows)):
            raise UserError(
                f"{train} of {len(rows)} rows to train on leave no row for training or for tests",
                where="dataset.train_fraction",
            )
        x, y, vocabulary = self._written(rows)
        classes = vocabulary if self.tokens == "official" else self.elements
        return DataSplits(
            train=Examples.of(x[:train], y[:train]),
            test=Examples.of(x[train:], y[train:]),
            num_classes=classes,
            class_names=tuple(map(str, range(classes))),
            vocabulary=vocabulary,
        )

    def _written(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
        """Return the rows (N, 3) as inputs (N, T) and labels (N,), and the size of the vocabulary."""
        a, b, c = rows.T
        n = self.elements
        if self.tokens == "pair":
            return rows[:, :2].copy(), c, n
        if self.tokens == "compact":
            return np.stack([a, np.full_like(a, n), b, np.full_like(a, n + 1)], axis=1), c, n + 2
        eos, equals, operator = 0, 1, 2 + OPERATIONS.index(self.operation)
        numbers = 2 + len(OPERATIONS)
        first = numbers + self.p if self.operation.startswith("s5") else numbers
        columns = [np.full_like(a, eos), first + a, np.full_like(a, operator)]
        columns += [first + b, np.full_like(a, equals)]
        return np.stack(columns, axis=1), first + c, numbers + self.p + len(PERMUTATIONS)


def table(operation: str, p: int) -> NDArray[np.int64]:
    """Return all rows (a, b, c) of an operation, (N, 3), in product order with a outer (thilak2022 §2).

    Division is made backwards: for each quotient q and each b that is not 0 the row is (q b mod p, b, q).

    Args:
        operation: one of `OPERATIONS`.
        p: the modulus; a prime where something is divided. Not used on permutations.
    """
    n = len(PERMUTATIONS) if operation.startswith("s5") else p
    x, y = (part.reshape(-1) for part in np.meshgrid(np.arange(n), np.arange(n), indexing="ij"))
    if operation == "x/y":
        quotient, divisor = x[y != 0], y[y != 0]
        return np.stack([quotient * divisor % p, divisor, quotient], axis=1)
    return np.stack([x, y, _composed(operation, x, y) if n != p else _value(operation, x, y, p)], axis=1)


def _value(operation: str, x: NDArray[np.int64], y: NDArray[np.int64], p: int) -> NDArray[np.int64]:
    match operation:
        case "x+y":
            return (x + y) % p
        case "x-y":
            return (x - y) % p
        case "x*y":
            return x * y % p
        case "x^2+y^2":
            return (x**2 + y**2) % p
        case "x^2+xy+y^2":
            return (x**2 + x * y + y**2) % p
        case "x^2+xy+y^2+x":
            return (x**2 + x * y + y**2 + x) % p
        case "x^3+xy":
            return (x**3 + x * y) % p
        case "x^3+xy^2+y":
            return (x**3 + x * y**2 + y) % p
        case "x/y if y odd else x-y":
            inverse = np.array([0] + [pow(b, -1, p) for b in range(1, p)])
            return np.where(y % 2 == 1, x * inverse[y], x - y) % p
        case "x+y if x even else x*y":
            return np.where(x % 2 == 0, x + y, x * y) % p
        case "x+y if x even else x-y":
            return np.where(x % 2 == 0, x + y, x - y) % p
    raise ValueError(f"no operation {operation!r}")


def _composed(operation: str, x: NDArray[np.int64], y: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the numbers of permutations i -> c(i), made of the permutations numbered x and y."""
    number_of = {tuple(each): position for position, each in enumerate(PERMUTATIONS.tolist())}
    a, b = PERMUTATIONS[x], PERMUTATIONS[y]
    c = np.take_along_axis(b, a, axis=1)
    if operation == "s5_conjugate":
        c = np.take_along_axis(a.argsort(axis=1), c, axis=1)
    elif operation == "s5_aba":
        c = np.take_along_axis(a, c, axis=1)
    return np.array([number_of[tuple(each)] for each in c.tolist()])


def shuffled(rows: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Return rows in the order of `RandomState(seed).shuffle` on their list (thilak2022 §2)."""
    order = np.arange(len(rows))
    np.random.RandomState(seed).shuffle(order)
    return rows[order]


def train_rows(rows: int, fraction: float) -> int:
    """Return how many rows are trained on: the nearest whole number, halves to even (thilak2022 §2)."""
    return round(rows * fraction)


def _is_prime(p: int) -> bool:
    return p > 1 and all(p % divisor for divisor in range(2, int(p**0.5) + 1))


build = Modular
