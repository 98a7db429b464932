"""Keys pressed in one go: each has its effect before the next, whatever opens or closes in between."""

from __future__ import annotations

from typing import Any

from textual import events

from imbtui import store
from imbtui.paths import RunsPaths
from imbtui.tui.app import ImbtuiApp
from imbtui.tui.screens.compare import Compare
from imbtui.tui.screens.form import FormScreen
from imbtui.tui.screens.run import Run
from imbtui.tui.screens.runs import Runs
from imbtui.tui.widgets.filter_line import FilterLine
from imbtui.tui.widgets.runs_table import RunsTable
from imbtui.tui.widgets.table import Table

RUNNING = "rldama-ldam-drw-s0"


def press_at_once(app: ImbtuiApp, *keys: str) -> None:
    """Put keys into the app's queue before the first of them has had any effect."""
    for key in keys:
        app.post_message(events.Key(key, key if len(key) == 1 else {"space": " "}.get(key)))


async def test_a_search_in_the_log_gets_all_that_is_typed_after_its_key(
    gallery: RunsPaths, opened: Any, wait: Any, shown: Any
) -> None:
    async with opened(gallery) as (app, pilot):
        app.open_run(RUNNING)
        await wait(pilot, lambda: isinstance(app.screen, Run) and RUNNING in shown(pilot))
        press_at_once(app, "4", "slash", *"epoxx", "backspace", "backspace", *"ch", "space", *"2")
        await wait(pilot, lambda: [shown.line.text for shown in app.screen.query(FilterLine)] == ["epoch 2"])
        await wait(pilot, lambda: "6 of 6 lines" in shown(pilot))
        press_at_once(app, "enter", "n", "N", "N")
        await wait(pilot, lambda: "5 of 6 lines" in shown(pilot))
        press_at_once(app, "escape", "1", "m")
        await wait(pilot, lambda: "loss   2 of" in shown(pilot))


async def test_a_dialog_gets_what_is_typed_before_it_has_come_up(
    gallery: RunsPaths, opened: Any, wait: Any
) -> None:
    async with opened(gallery) as (app, pilot):
        table = app.screen.query_one(RunsTable)
        press_at_once(app, "end", "t", *"paper", "enter", "home")
        await wait(pilot, lambda: store.read_notes(gallery.run("oldfaa-rw-s5"))[0] == ("paper",))
        assert isinstance(app.screen, Runs) and table.row is table.rows[0]
        press_at_once(app, "o", *"bal", "enter", "S")
        await wait(pilot, lambda: (table.sort_key, table.descending) == ("last", False))
        press_at_once(app, "end", "delete", "n", "home")
        await wait(pilot, lambda: table.row is table.rows[0])
        assert len(store.list_ids(gallery)) == 14 and isinstance(app.screen, Runs)


async def test_screens_that_open_one_after_another_get_the_keys_meant_for_them(
    study: list[Any], runs: RunsPaths, opened: Any, wait: Any
) -> None:
    async with opened(runs) as (app, pilot):
        press_at_once(app, "n", *"quickstart", "enter")
        await wait(pilot, lambda: isinstance(app.screen, FormScreen))
        assert app.screen.recipe_name == "quickstart"
        press_at_once(app, "escape", "escape", "Q", "P", "escape", "escape", "c")
        await wait(pilot, lambda: isinstance(app.screen, Compare))
        await wait(pilot, lambda: len(app.screen.query_one(Table).rows) == 2)
