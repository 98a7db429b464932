"""What is not done at a key or at rest: the counts behind `tests/benchmarks/dashboard.py`'s milliseconds."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from textual.screen import Screen

from imbtui.paths import RunsPaths
from imbtui.tui.app import ImbtuiApp
from imbtui.tui.messages import Row
from imbtui.tui.ordering import Order
from imbtui.tui.places import CHUNK, Places
from imbtui.tui.searched import Searched
from imbtui.tui.widgets.runs_table import RunsTable


@pytest.fixture
def formatted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the rows whose lines were put together, one after another."""
    ids: list[str] = []
    line = RunsTable._line

    def counted(self: RunsTable, row: Row, *arguments: Any, **options: Any) -> Any:
        ids.append(row["id"])
        return line(self, row, *arguments, **options)

    monkeypatch.setattr(RunsTable, "_line", counted)
    return ids


async def test_a_key_draws_the_lines_that_it_changes(
    gallery: RunsPaths, opened: Any, formatted: list[str]
) -> None:
    async with opened(gallery) as (app, pilot):
        table = app.screen.query_one(RunsTable)
        await pilot.press("down")
        await pilot.pause()
        formatted.clear()
        before, after = table.rows[1]["id"], table.rows[2]["id"]
        await pilot.press("down")
        await pilot.pause()
        assert set(formatted) <= {before, after, "rldama-ldam-drw-s0"}  # that one is live
        assert formatted.count(after) == 1


async def test_a_word_that_is_typed_on_is_looked_for_where_it_was_found(
    gallery: RunsPaths, opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[int] = []
    find = Searched.find

    def counted(self: Searched, word: str, places: Sequence[int]) -> list[int]:
        looked_at.append(len(places))
        return find(self, word, places)

    monkeypatch.setattr(Searched, "find", counted)
    async with opened(gallery) as (app, pilot):
        table = app.screen.query_one(RunsTable)
        having = sum("f" in row["search"] for row in app.live.rows)
        await pilot.press("slash", "f", "a")
        await pilot.pause()
        assert looked_at[-2:] == [14, having] and having < 14
        assert len(table.rows) == sum("fa" in row["search"] for row in app.live.rows) > 0
        await pilot.press("backspace", "backspace")
        await pilot.pause()
        assert len(table.rows) == 14


async def test_typing_a_filter_lays_nothing_out_anew(
    runs: RunsPaths, make_run: Any, opened: Any, wait: Any, shown: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(60):
        make_run(f"run{number:03d}-a-s{number}", "queued", seed=number, minutes_ago=number)
    laid_out: list[Screen[Any]] = []
    lay_out = Screen._refresh_layout

    def counted(self: Screen[Any], *arguments: Any, **options: Any) -> None:
        laid_out.append(self)
        lay_out(self, *arguments, **options)

    async with opened(runs) as (app, pilot):
        await pilot.pause()
        monkeypatch.setattr(Screen, "_refresh_layout", counted)
        await pilot.press("slash", *"run00")
        await wait(pilot, lambda: "10 of 60 runs" in shown(pilot) and "▐" not in shown(pilot))
        await pilot.press("x")
        await wait(pilot, lambda: "No run matches the filter." in shown(pilot))
        await pilot.press("ctrl+u", *"seed ==")
        await wait(pilot, lambda: "expected a value" in shown(pilot))
        await pilot.press("escape")
        await wait(pilot, lambda: "▐" in shown(pilot) and "expected a value" not in shown(pilot))
        assert app.screen not in laid_out  # a run's screen may have been, which is made ahead


async def test_at_rest_nothing_is_painted(
    study: list[Any], runs: RunsPaths, wait: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imbtui.tui.machine import Machine, MachineReader

    monkeypatch.setattr(MachineReader, "read", lambda self, running: Machine(cores=2, cpu=0.34))
    app = ImbtuiApp(runs)
    async with app.run_test(size=(120, 40)) as pilot:
        await wait(pilot, lambda: app.live.listed and app.live.machine is not None)
        await pilot.pause(1.0)
        painted: list[object] = []
        monkeypatch.setattr(app, "_display", lambda screen, renderable: painted.append(renderable))
        await pilot.pause(2.5)  # five looks, one of them close
        assert not [update for update in painted if update is not None]


def test_an_order_is_that_of_sorting_whatever_changes() -> None:
    draw = random.Random(0)
    keys: list[int | None] = [draw.choice([None, 1, 2, 3]) for _ in range(300)]
    order = Order(keys, rank=lambda key: -key)
    for _ in range(200):
        place, key = draw.randrange(300), draw.choice([None, 0, 1, 2, 3])
        keys[place] = key
        order.change(place, key)
    for descending in (False, True):
        have = [place for place, key in enumerate(keys) if key is not None]
        have.sort(key=lambda place: -(keys[place] or 0), reverse=descending)
        assert order.places(descending=descending) == have + [p for p, key in enumerate(keys) if key is None]


def test_places_are_learnt_as_far_as_it_takes() -> None:
    read: list[int] = []

    class Counted(list[Row]):
        def __getitem__(self, place: Any) -> Any:
            read.append(place.stop)
            return super().__getitem__(place)

    places = Places(Counted({"id": f"run{number}"} for number in range(5 * CHUNK)))
    assert places.get("run7") == 7 and read == [CHUNK]
    assert places.get(f"run{2 * CHUNK}") == 2 * CHUNK and read[-1] == 3 * CHUNK
    assert places.get("another") is None and places.get("another") is None and read[-1] == 5 * CHUNK
    assert len(read) == 5
