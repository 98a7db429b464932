"""What a filter looks at in a list of runs: texts for its words, columns for its comparisons."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any


class Values:
    """What runs have under a key.

    Attributes:
        values: of each run.
        different: its different values; None: not all can be told apart by being equal.
    """

    def __init__(self, values: list[Any]) -> None:
        self.values = values
        kinds = set(map(type, values))
        # Of one kind of number equal ones are the same; 1 and 1.0 and true are not.
        alike = kinds <= {str, int, type(None)} or kinds <= {str, float, type(None)} or kinds == {tuple}
        self.different = set(values) if alike else None


class Searched:
    """The texts and the columns of many runs: neither words nor comparisons touch each row.

    Args:
        rows: the runs.
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        # Cut from one text they lie next to each other in memory, which is half of what a search takes.
        self._texts = "\0".join(row["search"].replace("\0", " ") for row in rows).split("\0")
        self._columns: dict[str, Values] = {}

    def column(self, key: str, values: Callable[[], list[Any]]) -> Values:
        """Return what the runs have under a key, learnt once.

        Args:
            key: one under which a run keeps what it has for as long as it is in the list.
            values: returns what they have.
        """
        if key not in self._columns:
            self._columns[key] = Values(values())
        return self._columns[key]

    def find(self, word: str, places: Sequence[int]) -> list[int]:
        """Return those of the places at which a run's texts have a word in them."""
        texts = self._texts
        return [place for place in places if word in texts[place]]
