"""The texts in which the words of a filter are looked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class Searched:
    """The texts of many runs side by side: a word is looked for in them without touching each row.

    Args:
        rows: the runs.
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        # Cut from one text they lie next to each other in memory, which is half of what a search takes.
        self._texts = "\0".join(row["search"].replace("\0", " ") for row in rows).split("\0")

    def find(self, word: str, places: Sequence[int]) -> list[int]:
        """Return those of the places at which a run's texts have a word in them."""
        texts = self._texts
        return [place for place in places if word in texts[place]]
