"""The sixteen papers, and one of them: claims, numbers, figure, and the run key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from imbtui import store
from imbtui.paths import RunPaths, RunsPaths
from imbtui.tui.dialogs.choose import Choose
from imbtui.tui.dialogs.confirm import Confirm
from imbtui.tui.screens.compare import Compare
from imbtui.tui.screens.paper import PaperScreen
from imbtui.tui.screens.papers import Papers
from imbtui.tui.screens.runs import Runs
from imbtui.tui.widgets.group_curves import GroupCurves
from imbtui.tui.widgets.lines import Lines
from imbtui.tui.widgets.verdict_table import VerdictTable

SIZES = [(80, 24), (200, 50)]


def add(library: Path, text: str, name: str = "quick") -> None:
    (library / "cao2019" / f"{name}.toml").write_text(text)


async def open_papers(app: Any, pilot: Any, wait: Any) -> VerdictTable:
    await pilot.press("P")
    assert isinstance(app.screen, Papers)
    table = app.screen.query_one(VerdictTable)
    await wait(pilot, lambda: all(row["runs"] != "reading …" for row in table.rows))
    return table


async def open_paper(app: Any, pilot: Any, wait: Any, shown: Any) -> VerdictTable:
    table = await open_papers(app, pilot, wait)
    table.select("cao2019")
    await pilot.press("enter")
    assert isinstance(app.screen, PaperScreen)
    await wait(pilot, lambda: "Claims of" in shown(pilot))
    return app.screen.query_one(VerdictTable)


@pytest.mark.parametrize("size", SIZES)
async def test_the_sixteen_with_verdict_and_numbers(
    runs: RunsPaths, study: list[RunPaths], library: Path, opened: Any, wait: Any, shown: Any, size: Any
) -> None:
    async with opened(runs, size) as (app, pilot):
        table = await open_papers(app, pilot, wait)
        assert len(table.rows) == 16
        rows = {row["id"]: row for row in table.rows}
        mine = rows["cao2019"]
        assert (mine["verdict"], mine["runs"]) == ("not run", "5 of 6 runs, 1 to come")
        assert mine["reported"] == "0.770†" and mine["measured"].startswith("0.692 ±")
        assert rows["zhang2017"]["runs"] == "no recipe"
        table.select("cao2019")
        await wait(pilot, lambda: "Label-Distribution-Aware" in shown(pilot))
        assert "0.770†" in shown(pilot) and "not run" in shown(pilot)
        if size == (200, 50):
            await wait(pilot, lambda: "LDAM has a higher balanced accuracy" in shown(pilot))


async def test_verdicts_follow_the_runs(
    runs: RunsPaths, study: list[RunPaths], library: Path, opened: Any, wait: Any, shown: Any, finish_run: Any
) -> None:
    async with opened(runs) as (app, pilot):
        table = await open_papers(app, pilot, wait)
        finish_run(study[5], 0.78)
        await wait(pilot, lambda: {r["id"]: r["verdict"] for r in table.rows}["cao2019"] == "held")
        assert {r["id"]: r["held"] for r in table.rows}["cao2019"] == "1 of 1"


@pytest.mark.parametrize("size", SIZES)
async def test_one_paper_shows_claims_with_their_statistics_numbers_and_a_figure(
    runs: RunsPaths,
    study: list[RunPaths],
    library: Path,
    opened: Any,
    wait: Any,
    shown: Any,
    finish_run: Any,
    size: Any,
) -> None:
    finish_run(study[5], 0.78)
    async with opened(runs, size) as (app, pilot):
        table = await open_paper(app, pilot, wait, shown)
        assert [row["id"] for row in table.rows] == ["mine"]
        claims = "\n".join(app.screen.query_one("#claims", Lines).plain)
        assert "held" in claims and "LDAM - CE > 0" in claims and "n = 3" in claims and "p = " in claims
        assert "Not asserted" in claims and "did not hold" in claims
        numbers = "\n".join(app.screen.query_one("#numbers", Lines).plain)
        assert "0.770†" in numbers and "±" in numbers and "from memory" in numbers
        await pilot.press("2")
        await wait(pilot, lambda: app.screen.query_one(GroupCurves).metric == "test/balanced_accuracy")
        await wait(pilot, lambda: "test/balanced accuracy" in shown(pilot) and "b LDAM" in shown(pilot))
        await pilot.press("tab")
        await wait(pilot, lambda: "Reported beside measured" in shown(pilot))
        await pilot.press("m")
        assert app.screen.query_one(GroupCurves).metric == "test/loss"
        await pilot.press("c")
        assert isinstance(app.screen, Compare)
        await pilot.press("escape", "escape", "escape")
        assert isinstance(app.screen, Runs)


async def test_r_asks_with_the_number_of_runs_and_queues_the_study(
    runs: RunsPaths,
    study_text: str,
    library: Path,
    opened: Any,
    wait: Any,
    shown: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    add(library, study_text)
    started: list[RunsPaths] = []
    monkeypatch.setattr("imbtui.worker.ensure", started.append)
    async with opened(runs) as (app, pilot):
        table = await open_paper(app, pilot, wait, shown)
        assert table.row["id"] == "cao2019/quick" and table.row["runs"] == "6 runs"
        assert "not run" in shown(pilot) and "LDAM has a higher balanced accuracy" in shown(pilot)
        await pilot.press("c")
        assert isinstance(app.screen, PaperScreen), "what has not run cannot be compared"
        await pilot.press("r")
        await wait(pilot, lambda: isinstance(app.screen, Confirm))
        assert "Run cao2019/quick?" in shown(pilot) and "6 runs: 2 arms × 3 seeds" in shown(pilot)
        await pilot.press("n")
        assert not store.list_ids(runs)
        await pilot.press("r")
        await wait(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("y")
        await wait(pilot, lambda: len(store.list_ids(runs)) == 6 and started)
        await wait(pilot, lambda: table.rows[0]["runs"] == "0 of 6 runs, 6 to come")


async def test_r_on_the_list_lets_one_choose_among_recipes(
    runs: RunsPaths, study_text: str, library: Path, opened: Any, wait: Any, shown: Any
) -> None:
    add(library, study_text)
    add(library, study_text.replace("seeds = [0, 1, 2]", "seeds = [0]"), "small")
    async with opened(runs) as (app, pilot):
        table = await open_papers(app, pilot, wait)
        table.select("zhang2017")
        await pilot.press("r")
        assert any("no recipe yet" in n.message for n in app._notifications)
        table.select("cao2019")
        await pilot.press("r")
        assert isinstance(app.screen, Choose)
        await pilot.press(*"small", "enter")
        await wait(pilot, lambda: isinstance(app.screen, Confirm) and "2 runs: 2 arms" in shown(pilot))
        await pilot.press("escape", "escape")
        assert isinstance(app.screen, Runs)


async def test_a_paper_without_recipes_and_one_with_a_broken_one_say_so(
    runs: RunsPaths, library: Path, opened: Any, wait: Any, shown: Any
) -> None:
    add(library, "title = ")
    async with opened(runs) as (app, pilot):
        table = await open_papers(app, pilot, wait)
        table.select("zhang2017")
        await pilot.press("enter")
        await wait(pilot, lambda: "No recipe of this paper comes along yet" in shown(pilot))
        await pilot.press("r", "escape")
        table.select("cao2019")
        await pilot.press("enter")
        claims = app.screen.query_one("#claims", Lines)
        await wait(pilot, lambda: "not valid TOML" in " ".join(" ".join(claims.plain).split()))
        assert "broken" in shown(pilot)
        await pilot.press("r")
        await wait(pilot, lambda: any("not valid TOML" in n.message for n in app._notifications))


@pytest.mark.parametrize("keys", [("Q",), ("c",), ("P",), ("P", "down", "down", "enter")])
async def test_a_terminal_that_becomes_tiny_and_large_again_is_no_trouble(
    runs: RunsPaths, study: list[RunPaths], library: Path, opened: Any, wait: Any, shown: Any, keys: Any
) -> None:
    async with opened(runs) as (app, pilot):
        await pilot.press(*keys)
        await wait(pilot, lambda: app.live.machine is not None)
        for size in ((40, 10), (200, 50), (80, 24)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
            lines = shown(pilot).splitlines()
            assert len(lines) == size[1] and "? help" in lines[-1]
        assert app.is_running


async def test_of_many_arms_the_figure_shows_those_that_the_claims_name(
    runs: RunsPaths,
    library: Path,
    study_text: str,
    make_runs: Any,
    finish_run: Any,
    opened: Any,
    wait: Any,
    shown: Any,
) -> None:
    more = "".join(f'[[arms]]\nlabel = "LR {n}"\nset = {{ "optimizer.lr" = 0.0{n} }}\n' for n in range(1, 10))
    text = study_text.replace("[[claims]]", f"{more}[[claims]]", 1).replace("[0, 1, 2]", "[0, 1]")
    folders = make_runs(toml=text, name="mine")
    for number, run in enumerate(folders):
        finish_run(run, 0.5 + number / 100)
        if number < 4:
            row = {"stage": "train", "step": 720, "epoch": 80, "time": 4.0, "difficulty/spread": 2.0 * number}
            with run.metrics.open("a") as file:
                file.write(json.dumps(row) + "\n")
    async with opened(runs) as (app, pilot):
        await open_paper(app, pilot, wait, shown)
        await pilot.press("2")
        chart = app.screen.query_one(GroupCurves)
        await wait(pilot, lambda: len(app.live.complete) == len(folders))
        await wait(pilot, lambda: [one.label for one in chart._series] == ["CE", "LDAM"])
        assert "2 of 11 arms; A shows all" in shown(pilot) and "a CE" in shown(pilot)
        await pilot.press("A")
        await wait(pilot, lambda: len(chart._series) == 11)
        assert "LR 3" in shown(pilot) and "A shows all" not in shown(pilot)
        chart.turn_to("test/ece")
        await pilot.press("A")
        await wait(pilot, lambda: len(chart._series) == 8)
        chart.turn_to("difficulty/spread")
        await wait(pilot, lambda: "▇" in shown(pilot))
        lines = chart.query_one(Lines).plain
        assert lines[0] == "difficulty/spread, mean ± sd over seeds"
        assert "b LDAM" in lines[3] and "5.0000 ± 1.4142" in lines[3]
        chart.turn_to("test/accuracy")
        await wait(pilot, lambda: "▇" not in shown(pilot))
