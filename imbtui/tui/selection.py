"""Some rows of a long list, in an order of their own."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import overload

from imbtui.tui.messages import Row


class Selection(Sequence[Row]):
    """Rows of a list by their places in it: those that are never asked for are never touched.

    A new list of ten thousand rows counts a reference to each, which takes 1 ms when it is made, and another
    when it is forgotten; a key of a filter makes one.

    Args:
        rows: the list; a row may be replaced by a newer one.
        places: of the rows, in the order in which they are shown; an attribute as well.
    """

    def __init__(self, rows: list[Row], places: Sequence[int]) -> None:
        self._rows = rows
        self.places = places
        self._positions: dict[int, int | None] = {}

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[Row]:
        return map(self._rows.__getitem__, self.places)

    @overload
    def __getitem__(self, position: int) -> Row: ...
    @overload
    def __getitem__(self, position: slice) -> list[Row]: ...
    def __getitem__(self, position: int | slice) -> Row | list[Row]:
        if isinstance(position, slice):
            return list(map(self._rows.__getitem__, self.places[position]))
        return self._rows[self.places[position]]

    def __setitem__(self, position: int, row: Row) -> None:
        self._rows[self.places[position]] = row

    def position(self, place: int) -> int | None:
        """Return where the row at a place of the list is shown; None: it is not."""
        if place not in self._positions:
            self._positions[place] = self._find(place)
        return self._positions[place]

    def _find(self, place: int) -> int | None:
        try:
            return self.places.index(place)
        except ValueError:
            return None


class Ascending(Selection):
    """Rows in the order of the list."""

    def _find(self, place: int) -> int | None:
        position = bisect_left(self.places, place)
        return position if position < len(self) and self.places[position] == place else None
