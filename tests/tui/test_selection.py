"""Rows by their places in a list."""

from __future__ import annotations

import random

import pytest

from imbtui.tui.selection import Ascending, Selection

ROWS = [{"id": f"r{number}"} for number in range(40)]


@pytest.mark.parametrize("seed", range(5))
def test_a_selection_is_the_list_of_its_rows(seed: int) -> None:
    chance = random.Random(seed)
    places = chance.sample(range(40), 17)
    for kind, chosen in ((Selection, places), (Ascending, sorted(places))):
        selection, rows = kind(list(ROWS), chosen), [ROWS[place] for place in chosen]
        assert list(selection) == rows and len(selection) == 17
        assert [selection[at] for at in range(17)] == rows and selection[-1] == rows[-1]
        assert selection[3:9] == rows[3:9]
        found = [selection.position(place) for place in range(40)]
        assert found == [chosen.index(place) if place in chosen else None for place in range(40)]


@pytest.mark.parametrize("kind", [Selection, Ascending])
def test_all_of_a_list_and_none_of_it(kind: type[Selection]) -> None:
    assert [kind(ROWS, range(40)).position(place) for place in (0, 39, 40)] == [0, 39, None]
    assert not kind(ROWS, ()) and kind(ROWS, ()).position(0) is None


def test_a_row_is_replaced_in_the_list() -> None:
    rows = list(ROWS)
    selection = Selection(rows, [7, 3])
    selection[1] = {"id": "r3", "state": "running"}
    assert rows[3] == {"id": "r3", "state": "running"} == list(selection)[1]
