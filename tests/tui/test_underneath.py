"""Folders deleted while a screen shows them, and terminals too small for it: said, and over again."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from imbtui.paths import RunPaths, RunsPaths
from imbtui.tui.screens.compare import Compare
from imbtui.tui.screens.queue import Queue
from imbtui.tui.widgets.queue_table import QueueTable
from imbtui.tui.widgets.table import Table

# Keys from home, what shows when the place is there, and what still has to be read at 40x10.
PLACES: dict[str, tuple[tuple[str, ...], str, str]] = {
    "runs": ((), "LDAM-DRW", "queued"),
    "groups": (("v",), "▾ quickstart", "quickstart"),
    "preview": (("i",), "seed 1", "queued"),
    "filter": (("slash", *"ldam"), "of 14 runs", "ldam"),
    "queue": (("Q",), "slots:", "running"),
    "compare": (("c",), "a LDAM-DRW", "Compare"),
    "papers": (("P",), "zhang2017", "arpit2017"),
    "new run": (("n",), "quickstart ", "quickstart"),
    "form": (("n", *"quickstart", "enter"), "9 runs: 3 arms", "New run"),
    "help": (("f1",), "Keys: Runs", "Keys: Runs"),
    "question": (("end", "delete"), "Delete", "Delete"),
}


@pytest.mark.parametrize("name", PLACES)
async def test_a_terminal_of_40_by_10_shows_what_matters_and_all_is_back_afterwards(
    gallery: RunsPaths, opened: Any, wait: Any, shown: Any, name: str
) -> None:
    keys, sign, kept = PLACES[name]
    async with opened(gallery) as (app, pilot):
        await pilot.press(*keys)
        await wait(pilot, lambda: sign in shown(pilot))
        screen = app.screen
        await pilot.resize_terminal(40, 10)
        await wait(pilot, lambda: kept in shown(pilot))
        lines = shown(pilot).splitlines()
        assert len(lines) == 10 and max(map(len, lines)) <= 40
        await pilot.resize_terminal(80, 24)
        await wait(pilot, lambda: sign in shown(pilot))
        assert app.screen is screen and app.is_running


async def test_a_folder_deleted_while_it_is_compared_leaves_its_group(
    runs: RunsPaths, study: list[RunPaths], opened: Any, wait: Any
) -> None:
    async with opened(runs) as (app, pilot):
        await pilot.press("c")
        table = app.screen.query_one(Table)
        await wait(pilot, lambda: [row["runs"] for row in table.rows] == ["3", "2 of 3"])
        shutil.rmtree(study[0].root)
        await wait(pilot, lambda: [row["runs"] for row in table.rows] == ["2 of 3", "2 of 3"])
        assert isinstance(app.screen, Compare)


async def test_a_folder_deleted_while_it_waits_leaves_the_queue(
    waiting: RunsPaths, opened: Any, wait: Any
) -> None:
    async with opened(waiting) as (app, pilot):
        await pilot.press("Q")
        table = app.screen.query_one(QueueTable)
        await wait(pilot, lambda: len(table.rows) == 5)
        shutil.rmtree(waiting.run("bbb-ldam-s1").root)
        await wait(pilot, lambda: [row["position"] for row in table.rows] == [None, 1, 2, 3])
        assert isinstance(app.screen, Queue)


async def test_files_that_cannot_be_read_are_named_and_keep_nothing_else_from_being_shown(
    runs: RunsPaths, make_run: Any, opened: Any, wait: Any, shown: Any
) -> None:
    odd = make_run("odd-ce-s0", "finished", minutes_ago=1)
    going = make_run("run-ce-s1", "running", seed=1, minutes_ago=2, epochs=40)
    for path in (odd.metrics, odd.log):
        path.unlink()
        path.mkdir()  # opening it fails, as opening a file of somebody else's does

    def said(app: Any) -> list[str]:
        return [one.message for one in app._notifications if "cannot be read" in one.message]

    async with opened(runs) as (app, pilot):
        await pilot.press("enter")
        await wait(pilot, lambda: "no metrics yet" in shown(pilot))
        assert said(app) == ["odd-ce-s0/metrics.jsonl cannot be read: Is a directory"]
        await pilot.press("4")
        await wait(pilot, lambda: "the log is empty" in shown(pilot) and len(said(app)) == 2)
        assert said(app)[1] == "odd-ce-s0/log.txt cannot be read: Is a directory"
        await pilot.press("escape", "down")
        with going.metrics.open("a") as file:
            file.write('{"stage": "train", "step": 540, "epoch": 60, "time": 4.0, "train/loss": 0.5}\n')
        await wait(pilot, lambda: "epoch 60 of 80" in shown(pilot))
        assert len(said(app)) == 2
