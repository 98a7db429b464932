"""The order of a list by one of its columns, kept while single rows change."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable
from typing import Any


class Order:
    """Places of rows by their sort keys.

    Rows with equal keys stand together, so that only different keys are sorted: a column of ten thousand runs
    mostly has a few of them. A row whose key changes moves by itself.

    Args:
        keys: of each row; None: it has none and stands at the end, whichever way is sorted.
        rank: what keys are sorted by.
    """

    def __init__(self, keys: Iterable[Any], rank: Callable[[Any], Any] | None = None) -> None:
        self._keys = list(keys)
        self._rank = rank
        self._places: dict[Any, list[int]] = {}
        self._order: dict[bool, list[int]] = {}
        for place, key in enumerate(self._keys):
            places = self._places.get(key)
            if places is None:
                self._places[key] = [place]
            else:
                places.append(place)

    def change(self, place: int, key: Any) -> None:
        """A row has another key."""
        before = self._keys[place]
        if key == before:
            return
        self._order.clear()
        places = self._places[before]
        del places[bisect_left(places, place)]
        if not places:
            del self._places[before]
        insort(self._places.setdefault(key, []), place)
        self._keys[place] = key

    def places(self, *, descending: bool) -> list[int]:
        """Return the places in order; rows with equal keys in the order in which they came."""
        if descending not in self._order:
            keys = sorted(
                (key for key in self._places if key is not None), key=self._rank, reverse=descending
            )
            order = [place for key in keys for place in self._places[key]]
            self._order[descending] = order + self._places.get(None, [])
        return self._order[descending]
