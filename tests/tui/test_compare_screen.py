"""Runs beside each other: groups over seeds, curves with bands, settings, metrics, differences."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import pytest

from imbtui.paths import RunPaths, RunsPaths
from imbtui.tui.screens.compare import Compare
from imbtui.tui.screens.run import Run
from imbtui.tui.screens.runs import Runs
from imbtui.tui.widgets.group_curves import GroupCurves
from imbtui.tui.widgets.lines import Lines
from imbtui.tui.widgets.plot import Plot
from imbtui.tui.widgets.table import Table

SIZES = [(80, 24), (200, 50)]


async def open_study(app: Any, pilot: Any, wait: Any, shown: Callable[..., str]) -> Table:
    await pilot.press("c")
    assert isinstance(app.screen, Compare)
    await wait(pilot, lambda: "p = " in shown(pilot) or "one seed" in shown(pilot))
    await wait(pilot, lambda: len(app.live.complete) >= 5 and has_series(app))
    return app.screen.query_one(Table)


def has_series(app: Any) -> bool:
    return any(len(one.x) for one in app.screen.query_one(Plot)._series)


@pytest.mark.parametrize("size", SIZES)
async def test_c_compares_the_arms_of_the_study_under_the_cursor(
    runs: RunsPaths, study: list[RunPaths], opened: Any, wait: Any, shown: Any, size: Any
) -> None:
    async with opened(runs, size) as (app, pilot):
        table = await open_study(app, pilot, wait, shown)
        assert [(row["letter"], row["label"], row["runs"]) for row in table.rows] == [
            ("a", "CE", "3"),
            ("b", "LDAM", "2 of 3"),
        ]
        text = shown(pilot)
        assert "baseline" in text and "difference from CE: paired t test" in text
        assert table.rows[1]["difference"].startswith("+0.1") and "p = " in table.rows[1]["p"]
        assert "test/balanced accuracy" in text
        series = app.screen.query_one(Plot)._series
        assert [(one.mark, one.label) for one in series] == [("a", "CE"), ("b", "LDAM")]
        assert all(
            low < y < high for one in series for low, y, high in [(one.low[-1], one.y[-1], one.high[-1])]
        )
        if size == (200, 50):
            assert "Settings that differ" in text and "Metrics after the last epoch" in text
            assert "[0." in text, "the interval has room"


async def test_tabs_show_metrics_and_settings(
    runs: RunsPaths, study: list[RunPaths], opened: Any, wait: Any, shown: Any
) -> None:
    async with opened(runs) as (app, pilot):
        await open_study(app, pilot, wait, shown)
        await pilot.press("2")
        metrics = app.screen.query_one("#metrics", Lines)
        await wait(pilot, lambda: metrics.display and "±" in shown(pilot) and "a CE" in shown(pilot))
        await pilot.press("tab")
        assert app.screen.query_one("#settings", Lines).display and not metrics.display
        text = "\n".join(app.screen.query_one("#settings", Lines).plain)
        assert "loss.name" in text and "cross_entropy" in text and "ldam" in text
        assert "dataset.name" not in text and "seeds" not in text
        await pilot.press("shift+tab", "shift+tab")
        assert app.screen.query_one(GroupCurves).display
        await pilot.click("TabBar", offset=(15, 0))
        assert metrics.display


async def test_keys_of_the_chart_work_wherever_the_cursor_stands(
    runs: RunsPaths, study: list[RunPaths], opened: Any, wait: Any, shown: Any
) -> None:
    async with opened(runs) as (app, pilot):
        table = await open_study(app, pilot, wait, shown)
        before = table.rows[0]["value"]
        await pilot.press("m")
        chart = app.screen.query_one(GroupCurves)
        await wait(pilot, lambda: "test/loss" in shown(pilot))
        assert chart.metric == "test/loss"
        await wait(pilot, lambda: table.rows[0]["value"] != before)
        await pilot.press("y", "plus")
        await wait(pilot, lambda: "log scale" in shown(pilot) and "smoothed" in shown(pilot))
        await pilot.press("minus", "y", "x")
        await wait(pilot, lambda: " step" in shown(pilot) and "smoothed" not in shown(pilot))
        await pilot.press("M")
        await wait(pilot, lambda: table.rows[0]["value"] == before)
        await pilot.press("f", *"few", "enter")
        await wait(pilot, lambda: chart.metric == "test/few_accuracy")


async def test_b_makes_the_selected_group_the_baseline(
    runs: RunsPaths, study: list[RunPaths], opened: Any, wait: Any, shown: Any
) -> None:
    async with opened(runs) as (app, pilot):
        table = await open_study(app, pilot, wait, shown)
        await pilot.press("down", "b")
        await wait(pilot, lambda: table.rows[1]["difference"] == "baseline")
        assert table.rows[0]["difference"].startswith("-0.1")
        assert "difference from LDAM" in shown(pilot)


async def test_v_takes_the_seeds_apart_and_enter_opens_a_run(
    runs: RunsPaths, study: list[RunPaths], opened: Any, wait: Any, shown: Any
) -> None:
    async with opened(runs) as (app, pilot):
        table = await open_study(app, pilot, wait, shown)
        await pilot.press("enter")
        await wait(pilot, lambda: "Which run?" in shown(pilot))
        await pilot.press("escape", "v")
        await wait(pilot, lambda: len(table.rows) == 6)
        assert "CE, seed 0" in shown(pilot) and table.rows[5]["letter"] == "f"
        await pilot.press("enter")
        assert isinstance(app.screen, Run) and app.screen.run_id == study[0].id
        await pilot.press("escape", "v")
        await wait(pilot, lambda: len(table.rows) == 2)


async def test_marked_runs_are_compared_seeds_together(
    runs: RunsPaths, study: list[RunPaths], opened: Any, wait: Any, shown: Any
) -> None:
    async with opened(runs) as (app, pilot):
        await pilot.press(*["space"] * 4, "c")
        assert isinstance(app.screen, Compare)
        table = app.screen.query_one(Table)
        await wait(pilot, lambda: len(table.rows) == 2)
        assert sum(len(group.ids) for group in app.screen._groups) == 4
        await pilot.press("escape")
        assert isinstance(app.screen, Runs)


async def test_e_shows_the_best_epoch_and_says_when_there_is_none(
    runs: RunsPaths, study: list[RunPaths], opened: Any, wait: Any, shown: Any
) -> None:
    async with opened(runs) as (app, pilot):
        await open_study(app, pilot, wait, shown)
        await pilot.press("a")
        await wait(pilot, lambda: "at the best epoch by validation" in shown(pilot))
        await pilot.press("a")
        await wait(pilot, lambda: "after the last epoch" in shown(pilot))


async def test_a_run_that_ends_is_counted_without_a_key(
    runs: RunsPaths, study: list[RunPaths], opened: Any, wait: Any, shown: Any, finish_run: Any
) -> None:
    async with opened(runs) as (app, pilot):
        table = await open_study(app, pilot, wait, shown)
        finish_run(study[5], 0.78)
        await wait(pilot, lambda: table.rows[1]["runs"] == "3")
        await wait(pilot, lambda: study[5].id in app.live.curves)


async def test_runs_that_are_gone_leave_a_sentence(
    runs: RunsPaths, make_run: Any, opened: Any, wait: Any, shown: Any
) -> None:
    run = make_run("only-ce-s0", "finished", arm="CE")
    async with opened(runs) as (app, pilot):
        app.open_comparison(["only-ce-s0"])
        await wait(pilot, lambda: "only one group" in shown(pilot))
        shutil.rmtree(run.root)
        await wait(pilot, lambda: "These runs are gone" in shown(pilot))
        assert app.is_running


async def test_runs_without_a_record_of_their_study_are_compared_all_the_same(
    gallery: RunsPaths, opened: Any, wait: Any, shown: Any
) -> None:
    async with opened(gallery) as (app, pilot):
        await pilot.press("c")
        table = app.screen.query_one(Table)
        await wait(pilot, lambda: len(table.rows) >= 2)
        assert {"DRW", "CE"} & {row["label"].split(",")[0] for row in table.rows}


async def test_groups_differ_without_colours(
    runs: RunsPaths, study: list[RunPaths], opened: Any, wait: Any, shown: Any, monkeypatch: Any
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with opened(runs) as (app, pilot):
        await open_study(app, pilot, wait, shown)
        await wait(pilot, lambda: any(line.rstrip().endswith("b") for line in shown(pilot).splitlines()[8:]))
        assert "⠤⠤⠤⠤ a CE" in shown(pilot) and "⠤⠄⠠⠤ b LDAM" in shown(pilot)
