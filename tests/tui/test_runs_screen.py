"""Home: what the table shows, and every key that does something there."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import pytest
from textual import events

from imbtui import store, where
from imbtui.paths import RunsPaths
from imbtui.tui.dialogs.confirm import Confirm
from imbtui.tui.dialogs.help import Help
from imbtui.tui.screens.run import Run
from imbtui.tui.screens.runs import Runs
from imbtui.tui.widgets.preview import Preview
from imbtui.tui.widgets.runs_table import RunsTable

SIZES = [(80, 24), (200, 50)]


@pytest.mark.parametrize("size", SIZES)
async def test_states_are_spelled_out_in_the_focused_table(
    gallery: RunsPaths, opened: Any, shown: Any, size: tuple[int, int]
) -> None:
    async with opened(gallery, size) as (app, pilot):
        await pilot.pause()
        assert isinstance(app.focused, RunsTable)
        text = shown(pilot)
        for state in where.STATES:
            assert f" {state} " in text
        assert "62 %" in text and "LDAM-DRW" in text
        assert "the loss became" in text  # the reason of the failed run, in the list


async def test_newest_runs_come_first_and_stay_under_the_cursor(
    gallery: RunsPaths, opened: Any, wait: Any, make_run: Any
) -> None:
    async with opened(gallery) as (app, pilot):
        table = app.screen.query_one(RunsTable)
        assert [row["id"][:6] for row in table.rows[:2]] == ["qdrwab", "rldama"]
        await pilot.press("down", "down")
        before = table.row["id"]
        make_run("newone-ce-s9", "queued", arm="CE", seed=9, minutes_ago=0)
        await wait(pilot, lambda: table.rows[0]["id"] == "newone-ce-s9")
        assert table.row["id"] == before


async def test_keys_move_the_cursor(gallery: RunsPaths, opened: Any) -> None:
    async with opened(gallery) as (app, pilot):
        table = app.screen.query_one(RunsTable)
        ids = [row["id"] for row in table.rows]
        for key, position in (
            ("j", 1),
            ("k", 0),
            ("end", 13),
            ("home", 0),
            ("G", 13),
            ("g", 0),
            ("pagedown", 13),
        ):
            await pilot.press(key)
            assert table.row["id"] == ids[position], key


async def test_a_long_list_scrolls_with_the_cursor(
    runs: RunsPaths, make_run: Any, opened: Any, shown: Any
) -> None:
    for number in range(60):
        make_run(f"run{number:03d}-a-s{number}", "queued", seed=number, minutes_ago=number)
    async with opened(runs) as (_, pilot):
        await pilot.press("end")
        await pilot.pause()
        lines = shown(pilot).splitlines()
        assert "state" in lines[1] and "▌" in lines[20] and " 59 " in lines[20]
        await pilot.press("home")
        await pilot.pause()
        assert "▌" in shown(pilot).splitlines()[2]


async def test_s_sorts_by_the_next_column_and_capital_s_turns_it(gallery: RunsPaths, opened: Any) -> None:
    async with opened(gallery) as (app, pilot):
        table = app.screen.query_one(RunsTable)
        await pilot.press("s")
        assert table.sort_key == "state"
        assert [row["state"] for row in table.rows][:2] == ["queued", "running"]
        await pilot.press("S")
        assert table.rows[0]["state"] == "crashed"
        table.sort_by("last", descending=True)
        values = [row["metrics"]["test/balanced_accuracy"] for row in table.rows if row.get("metrics")]
        assert values == sorted(values, reverse=True)
        assert table.rows[-1]["state"] in ("queued", "crashed")  # those without a value come last


async def test_a_click_on_a_heading_sorts(gallery: RunsPaths, opened: Any) -> None:
    async with opened(gallery) as (app, pilot):
        table = app.screen.query_one(RunsTable)
        await pilot.click(RunsTable, offset=(4, 0))
        assert table.sort_key == "state" and not table.descending
        await pilot.click(RunsTable, offset=(4, 0))
        assert table.descending
        await pilot.click(RunsTable, offset=(4, 3))
        assert table.row is table.rows[2]


async def test_the_scroll_bar_is_dragged(runs: RunsPaths, make_run: Any, opened: Any, shown: Any) -> None:
    for number in range(60):
        make_run(f"run{number:03d}-a-s{number}", "queued", seed=number, minutes_ago=number)

    async with opened(runs) as (app, pilot):
        table = app.screen.query_one(RunsTable)
        right, bottom = table.size.width - 1, table.size.height - 1

        def handle() -> list[int]:
            lines = shown(pilot).splitlines()[table.region.y :][: table.size.height]
            return [y for y, line in enumerate(lines) if line.endswith("▐")]

        assert handle()[0] == 1 and bottom not in handle()
        await pilot.mouse_down(RunsTable, offset=(right, bottom))
        await pilot.pause()
        assert handle()[-1] == bottom and " 59 " in shown(pilot).splitlines()[table.region.y + bottom]
        assert table.row["id"].startswith("run000")  # the cursor stays where it is
        await pilot.hover(RunsTable, offset=(right, 1))
        await pilot.mouse_up(RunsTable, offset=(right, 1))
        await pilot.pause()
        assert handle()[0] == 1 and table.scroll_offset.y == 0
        await pilot.hover(RunsTable, offset=(right, bottom))
        await pilot.pause()
        assert table.scroll_offset.y == 0  # it is held no longer
        assert table.row["id"].startswith("run000")


async def test_below_the_filter_clicks_mean_what_stands_there(gallery: RunsPaths, opened: Any) -> None:
    async with opened(gallery) as (app, pilot):
        table = app.screen.query_one(RunsTable)
        await pilot.press("slash", *"s", "enter")
        await pilot.click(RunsTable, offset=(4, 1))
        assert table.sort_key == "state"
        await pilot.click(RunsTable, offset=(4, 3))
        assert table.row is table.rows[1] and not table.filter.typing
        await pilot.click(RunsTable, offset=(20, 0))
        assert table.filter.typing
        await pilot.click(RunsTable, offset=(4, 4))
        assert table.row is table.rows[2] and not table.filter.typing


async def test_the_filter_follows_every_key(gallery: RunsPaths, opened: Any, wait: Any, shown: Any) -> None:
    async with opened(gallery) as (app, pilot):
        table = app.screen.query_one(RunsTable)
        await pilot.press("slash", *"fashion")
        assert {row["arm"] for row in table.rows} == {"RW"}
        await wait(pilot, lambda: "6 of 14 runs" in shown(pilot))
        await pilot.press("enter")
        assert app.focused is table
        await pilot.press("escape")
        assert len(table.rows) == 14


async def test_keys_pressed_in_one_go_take_effect_in_their_order(
    gallery: RunsPaths, opened: Any, wait: Any, shown: Any
) -> None:
    async with opened(gallery) as (app, pilot):
        table = app.screen.query_one(RunsTable)
        # All of them wait in the app's queue before the first one has had any effect.
        edits = (*"frx", "backspace", "left", "d", "end", *"waa", "home", "delete", "f")
        for key in ("slash", *edits, "enter", "s"):
            app.post_message(events.Key(key, key if len(key) == 1 else None))
        await wait(pilot, lambda: "1 of 14 runs" in shown(pilot))
        assert table.sort_key != "age", "the letter behind Enter is the table's again"
        for key in ("escape", "slash", *"fashion", "enter", "space", "down", "space"):
            app.post_message(events.Key(key, key if len(key) == 1 else None))
        await wait(pilot, lambda: len(table.marks) == 2)
        assert {row["arm"] for row in table.chosen} == {"RW"}


async def test_the_filter_speaks_the_language_of_ls(
    gallery: RunsPaths, opened: Any, wait: Any, shown: Any
) -> None:
    async with opened(gallery) as (app, pilot):
        table = app.screen.query_one(RunsTable)

        async def paste(text: str) -> None:
            await pilot.press("slash", "ctrl+u")
            app.post_message(events.Paste(text))

        await paste("state == finished and test/balanced_accuracy > 0.7")
        await wait(pilot, lambda: 0 < len(table.rows) < 14)
        assert all(row["metrics"]["test/balanced_accuracy"] > 0.7 for row in table.rows)
        await paste("loss.name == cross_entropy")  # needs the run folders
        await wait(pilot, lambda: [row["id"][:6] for row in table.rows] == ["fdrwaa", "fceaaa"])
        app.post_message(events.Paste(" and stat == finished"))
        await wait(pilot, lambda: "column 32" in shown(pilot) and "Did you mean" in shown(pilot))
        assert len(table.rows) == 2  # the filter before stays in force
        await paste("state == finished and")
        await wait(pilot, lambda: "at the end" in shown(pilot))
        await pilot.press("escape")
        await wait(pilot, lambda: len(table.rows) == 14 and "column" not in shown(pilot))


async def test_a_filter_that_matches_nothing_says_how_to_clear_it(
    gallery: RunsPaths, opened: Any, shown: Any
) -> None:
    async with opened(gallery) as (_, pilot):
        await pilot.press("slash", *"zzz")
        assert "No run matches the filter" in shown(pilot) and "Esc clears" in shown(pilot)


async def test_an_empty_folder_says_what_to_do_next(runs: RunsPaths, opened: Any, shown: Any) -> None:
    async with opened(runs) as (_, pilot):
        await pilot.pause()
        assert "No runs here yet" in shown(pilot) and "imbtui run quickstart" in shown(pilot)


async def test_a_folder_that_is_not_there_is_empty(tmp_path: Any, opened: Any, shown: Any) -> None:
    async with opened(RunsPaths(tmp_path / "none")) as (_, pilot):
        await pilot.pause()
        assert "No runs here yet" in shown(pilot)
    assert not (tmp_path / "none").exists()


async def test_delete_asks_and_moves_the_marked_runs_to_the_trash(
    gallery: RunsPaths, opened: Any, wait: Any
) -> None:
    async with opened(gallery) as (app, pilot):
        table = app.screen.query_one(RunsTable)
        await pilot.press("end", "up", "space", "space")
        assert len(table.marks) == 2
        await pilot.press("delete")
        assert isinstance(app.screen, Confirm)
        await pilot.press("n")
        assert len(store.list_ids(gallery)) == 14
        await pilot.press("delete", "y")
        await wait(pilot, lambda: len(table.rows) == 12)
        assert len(store.list_ids(gallery)) == 12
        assert len(list(gallery.trash.iterdir())) == 2
        assert not table.marks


async def test_a_run_under_way_cannot_be_deleted(gallery: RunsPaths, opened: Any, wait: Any) -> None:
    async with opened(gallery) as (app, pilot):
        await pilot.press("down", "delete")
        assert isinstance(app.screen, Runs)
        await wait(pilot, lambda: any("stop it first" in n.message for n in app._notifications))


async def test_stop_asks_and_requests_it(
    gallery: RunsPaths, opened: Any, wait: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imbtui import worker

    asked: list[str] = []
    monkeypatch.setattr(worker, "request_stop", lambda runs, run_id: asked.append(run_id))
    async with opened(gallery) as (app, pilot):
        await pilot.press("down", "X")
        assert isinstance(app.screen, Confirm)
        await pilot.press("y")
        await wait(pilot, lambda: asked == ["rldama-ldam-drw-s0"])
        await pilot.press("down", "X")  # a finished run
        assert isinstance(app.screen, Runs)


async def test_resume_queues_again_and_wakes_the_worker_for_a_queued_run(
    gallery: RunsPaths, opened: Any, wait: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imbtui import worker

    done: list[Any] = []
    monkeypatch.setattr(worker, "resume", lambda runs, run_id: done.append(run_id))
    monkeypatch.setattr(worker, "ensure", lambda runs: done.append("worker"))
    async with opened(gallery) as (app, pilot):
        table = app.screen.query_one(RunsTable)
        await pilot.press("R")
        await wait(pilot, lambda: done == ["worker"])
        while table.row["state"] != "stopped":
            await pilot.press("down")
        await pilot.press("R")
        await wait(pilot, lambda: done == ["worker", "sceaab-ce-s1"])


async def test_what_is_refused_is_said(gallery: RunsPaths, opened: Any, wait: Any) -> None:
    async with opened(gallery) as (app, pilot):
        await pilot.press("end", "R")  # a finished run
        await wait(pilot, lambda: any("it has finished" in n.message for n in app._notifications))


async def test_enter_opens_and_escape_returns(gallery: RunsPaths, opened: Any) -> None:
    async with opened(gallery) as (app, pilot):
        await pilot.press("down", "enter")
        assert isinstance(app.screen, Run) and app.screen.run_id == "rldama-ldam-drw-s0"
        await pilot.press("escape")
        assert isinstance(app.screen, Runs)
        assert app.screen.query_one(RunsTable).row["id"] == "rldama-ldam-drw-s0"


async def test_q_quits_and_touches_no_run(gallery: RunsPaths, opened: Any) -> None:
    before = {path: path.stat().st_mtime_ns for path in gallery.root.glob("*/*")}
    async with opened(gallery) as (app, pilot):
        await pilot.press("q")
        await pilot.pause()
        assert not app.is_running
    assert {path: path.stat().st_mtime_ns for path in gallery.root.glob("*/*")} == before


@pytest.mark.parametrize("key", ["question_mark", "f1"])
async def test_help_lists_every_key_of_the_screen(
    gallery: RunsPaths, opened: Any, shown: Any, key: str
) -> None:
    async with opened(gallery, (100, 50)) as (app, pilot):
        await pilot.press(key)
        assert isinstance(app.screen, Help)
        text = shown(pilot)
        for words in ("Open the selected run", "Filter", "Stop", "Resume", "trash", "runs go on", "New run"):
            assert words in text
        await pilot.press("escape")
        assert isinstance(app.screen, Runs)


async def test_the_bottom_line_keeps_help_and_quit_when_room_is_short(
    gallery: RunsPaths, opened: Any, shown: Any
) -> None:
    async with opened(gallery, (40, 12)) as (_, pilot):
        await pilot.pause()
        last = shown(pilot).splitlines()[-1]
        assert "? help" in last and "q quit" in last
        await pilot.resize_terminal(120, 30)
        await pilot.pause()
        last = shown(pilot).splitlines()[-1]
        assert "n new run" in last and "R resume" in last and "q quit" in last


@pytest.mark.parametrize(("size", "preview"), [((80, 24), False), ((200, 50), True), ((100, 50), True)])
async def test_the_preview_is_there_when_there_is_room(
    gallery: RunsPaths, opened: Any, wait: Any, shown: Any, size: tuple[int, int], preview: bool
) -> None:
    async with opened(gallery, size) as (app, pilot):
        await pilot.press("down")
        assert app.screen.query_one(Preview).display is preview
        if preview:
            await wait(pilot, lambda: "few-shot" in shown(pilot) and "0.3544" in shown(pilot))
            assert any("⠉" < c <= "⣿" for c in shown(pilot))
        else:
            await wait(pilot, lambda: "ldam · digits · ratio 100" in shown(pilot))


async def test_a_folder_deleted_underneath_disappears_from_the_list(
    gallery: RunsPaths, opened: Any, wait: Any
) -> None:
    async with opened(gallery) as (app, pilot):
        table = app.screen.query_one(RunsTable)
        shutil.rmtree(gallery.run("fdrwaa-drw-s0").root)
        await wait(pilot, lambda: "fdrwaa-drw-s0" not in {row["id"] for row in table.rows})


async def test_a_run_that_fails_is_announced_with_its_reason(
    gallery: RunsPaths, opened: Any, wait: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[int] = []
    async with opened(gallery) as (app, pilot):
        monkeypatch.setattr(app, "bell", lambda: rung.append(1))
        result = {"attempt": 1, "state": "failed", "reason": "the disk is full", "metrics": {}, "best": {}}
        from imbtui import files

        files.write_json(gallery.run("rldama-ldam-drw-s0").result, result)
        await wait(pilot, lambda: rung == [1])
        assert any("failed: the disk is full" in n.message for n in app._notifications)


async def test_the_end_of_a_study_is_announced_once(
    runs: RunsPaths, make_run: Any, opened: Any, wait: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imbtui import files

    first, second = (make_run(f"run{s}aa-ce-s{s}", "running", seed=s) for s in (0, 1))
    result = {"attempt": 1, "state": "finished", "reason": "", "metrics": {}, "best": {}}
    rung: list[int] = []
    async with opened(runs) as (app, pilot):
        monkeypatch.setattr(app, "bell", lambda: rung.append(1))
        table = app.screen.query_one(RunsTable)
        files.write_json(first.result, result)
        await wait(pilot, lambda: [row["state"] for row in table.rows].count("finished") == 1)
        assert not rung
        files.write_json(second.result, result)
        await wait(pilot, lambda: rung == [1])
        assert any("quickstart is through: 2 finished" in n.message for n in app._notifications)


async def test_a_damaged_folder_is_a_crashed_run_and_not_the_end(
    gallery: RunsPaths, opened: Any, wait: Any, shown: Callable[..., str]
) -> None:
    gallery.run("fceaaa-ce-s0").submit.write_text("{")
    async with opened(gallery) as (app, pilot):
        await pilot.press("ctrl+r")
        await wait(pilot, lambda: "damaged" in shown(pilot))
        assert app.is_running


async def test_colours_are_not_needed(
    gallery: RunsPaths, opened: Any, shown: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with opened(gallery) as (_, pilot):
        await pilot.press("space")
        await pilot.pause()
        assert "●" in shown(pilot) and "▌" in shown(pilot) and "crashed" in shown(pilot)


async def test_trouble_with_the_disk_is_said_once_and_the_dashboard_stays_up(
    gallery: RunsPaths, opened: Any, wait: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imbtui.tui.live import Poller

    looks: list[int] = []

    def broken(self: Any, *_: Any, **__: Any) -> bool:
        looks.append(1)
        raise OSError("the disk is on fire")

    async with opened(gallery) as (app, pilot):
        with monkeypatch.context() as patch:
            patch.setattr(Poller, "look", broken)
            await wait(pilot, lambda: len(looks) > 3)
            assert len([n for n in app._notifications if "the disk is on fire" in n.message]) == 1
        await pilot.press("down")
        assert app.screen.query_one(RunsTable).row["id"] == "rldama-ldam-drw-s0"


async def test_every_theme_can_be_chosen(gallery: RunsPaths, opened: Any, wait: Any, shown: Any) -> None:
    async with opened(gallery, (140, 36)) as (app, pilot):
        for theme in ("imbtui-light", "ansi-dark", "nord", "imbtui-dark"):
            app.theme = theme
            await pilot.press("down")
            await wait(pilot, lambda: "finished" in shown(pilot))
            assert app.theme == theme


async def test_below_the_table_the_chart_stands_beside_facts_and_numbers(
    gallery: RunsPaths, opened: Any, wait: Any, shown: Any
) -> None:
    async with opened(gallery, (120, 40)) as (app, pilot):
        app.screen.query_one(RunsTable).select("fdrwaa-drw-s0")
        await wait(pilot, lambda: "few-shot" in shown(pilot) and "⠤⠤⠤⠤ test" in shown(pilot))
        plot, numbers = app.screen.query_one("#curve"), app.screen.query_one("#numbers")
        assert plot.region.height > 12 and plot.region.x > numbers.region.x
