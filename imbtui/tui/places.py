"""Where rows stand in a long list."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from operator import itemgetter

from imbtui.tui.messages import Row

CHUNK = 256


class Places:
    """Places of rows by id, learnt as far down the list as it takes to find those that are asked for.

    Runs that are under way are asked for every second, and mostly stand first: to learn where all of ten
    thousand stand takes 2 ms after every key that makes another list.

    Args:
        rows: the list; a row may be replaced by a newer one of the same id.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows
        self._known: dict[str, int] = {}
        self._learnt = 0

    def get(self, row_id: str) -> int | None:
        """Return a row's place; None: it is not in the list."""
        while row_id not in self._known and self._learnt < len(self._rows):
            chunk = self._rows[self._learnt : self._learnt + CHUNK]
            self._known.update(zip(map(itemgetter("id"), chunk), count(self._learnt)))
            self._learnt += CHUNK
        return self._known.get(row_id)
