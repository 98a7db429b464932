"""One run: its tabs, live."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest
from textual.color import Color
from textual.widgets import ContentSwitcher

from imbtui import files
from imbtui.paths import RunsPaths
from imbtui.tui.dialogs.confirm import Confirm
from imbtui.tui.dialogs.help import Help
from imbtui.tui.screens.run import Run
from imbtui.tui.widgets.classes_pane import bars, group_of
from imbtui.tui.widgets.lines import Lines

RUNNING = "rldama-ldam-drw-s0"


def has_ink(text: str) -> bool:
    return any("\u2800" < character <= "\u28ff" for character in text)


async def open_run(app: Any, pilot: Any, wait: Any, shown: Any, run_id: str = RUNNING) -> None:
    app.open_run(run_id)
    await wait(pilot, lambda: isinstance(app.screen, Run) and run_id in shown(pilot))


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_curves_come_first(
    gallery: RunsPaths, opened: Any, wait: Any, shown: Any, size: tuple[int, int]
) -> None:
    async with opened(gallery, size) as (app, pilot):
        await open_run(app, pilot, wait, shown)
        await wait(pilot, lambda: "balanced accuracy" in shown(pilot) and has_ink(shown(pilot)))
        text = shown(pilot)
        assert "test" in text and "train" in text and "epoch" in text
        assert "epoch 50 of 80" in text and "62 %" in text
        charts = [plot for plot in app.screen.query("#curves Plot") if plot.display]
        assert len(charts) == (1 if size == (80, 24) else 9)


async def test_a_screen_stands_ready_before_enter_and_serves_one_run(
    gallery: RunsPaths, opened: Any, wait: Any, shown: Any
) -> None:
    def ready(*, but: Any = None) -> bool:
        return app._spare is not None and app._spare is not but and app._spare.size == app.size

    async with opened(gallery) as (app, pilot):
        await wait(pilot, ready)
        first = app._spare
        await open_run(app, pilot, wait, shown)
        assert app.screen is first
        await wait(pilot, lambda: "balanced accuracy" in shown(pilot) and has_ink(shown(pilot)))
        await pilot.press("2", "escape")
        await wait(pilot, lambda: ready(but=first))
        assert not first.is_attached
        second = app._spare
        await open_run(app, pilot, wait, shown, "fceaaa-ce-s0")
        assert app.screen is second
        assert app.screen.query_one(ContentSwitcher).current == "curves"
        assert RUNNING not in shown(pilot)


async def test_a_screen_that_stands_ready_follows_theme_and_size(
    gallery: RunsPaths, opened: Any, wait: Any, shown: Any
) -> None:
    async with opened(gallery, (80, 24)) as (app, pilot):
        await wait(pilot, lambda: app._spare is not None and app._spare.is_mounted)
        before = app._spare
        await pilot.press("f2")
        await wait(pilot, lambda: app._spare not in (None, before) and app._spare.is_mounted)
        await pilot.resize_terminal(200, 50)
        await open_run(app, pilot, wait, shown)
        await wait(pilot, lambda: has_ink(shown(pilot)))
        assert app.screen.size == (200, 50)
        assert len([plot for plot in app.screen.query("#curves Plot") if plot.display]) == 9
        background = app.screen.query_one("#status").styles.background
        assert background == Color.parse(app.theme_variables["surface"])


async def test_numbers_and_tab_change_tabs(gallery: RunsPaths, opened: Any, wait: Any, shown: Any) -> None:
    async with opened(gallery) as (app, pilot):
        await open_run(app, pilot, wait, shown)
        switcher = app.screen.query_one(ContentSwitcher)
        for key, tab in (
            ("2", "classes"),
            ("3", "recipe"),
            ("4", "log"),
            ("1", "curves"),
            ("tab", "classes"),
            ("shift+tab", "curves"),
            ("shift+tab", "probes"),
            ("5", "system"),
        ):
            await pilot.press(key)
            assert switcher.current == tab
        await pilot.click("TabBar", offset=(15, 0))
        assert switcher.current == "classes"


async def test_m_turns_to_the_next_metric_and_y_takes_logarithms(
    gallery: RunsPaths, opened: Any, wait: Any, shown: Any
) -> None:
    async with opened(gallery) as (app, pilot):
        await open_run(app, pilot, wait, shown)
        await wait(pilot, lambda: "balanced accuracy   1 of" in shown(pilot))
        await pilot.press("m")
        await wait(pilot, lambda: "loss   2 of" in shown(pilot))
        assert "running" in shown(pilot)  # the running mean is drawn beside the evaluated loss
        await pilot.press("y")
        await wait(pilot, lambda: "log scale" in shown(pilot))
        await pilot.press("y", "x")
        await wait(pilot, lambda: " step" in shown(pilot) and "log scale" not in shown(pilot))
        await pilot.press("M")
        await wait(pilot, lambda: "balanced accuracy   1 of" in shown(pilot))


async def test_the_curve_grows_while_the_run_trains(
    gallery: RunsPaths, opened: Any, wait: Any, shown: Any
) -> None:
    async with opened(gallery) as (app, pilot):
        await open_run(app, pilot, wait, shown)
        await wait(pilot, lambda: "epoch 50 of 80" in shown(pilot))
        writer = files.LineWriter(gallery.run(RUNNING).metrics)
        row = {"stage": "train", "step": 630, "epoch": 70, "time": 3.5, "test/balanced_accuracy": 0.9111}
        writer.append(json.dumps(row).encode())
        writer.close()
        await wait(pilot, lambda: "epoch 70 of 80" in shown(pilot) and "88 %" in shown(pilot))
        line = app.live.curves[RUNNING].lines["test/balanced_accuracy"]
        assert line.values[-1] == 0.9111 and line.epochs[-1] == 70


async def test_classes_show_accuracy_beside_training_counts(
    gallery: RunsPaths, opened: Any, wait: Any, shown: Any
) -> None:
    async with opened(gallery) as (app, pilot):
        await open_run(app, pilot, wait, shown)
        await pilot.press("2")
        await wait(pilot, lambda: "test accuracy" in shown(pilot) and "120" in shown(pilot))
        lines = shown(pilot).splitlines()
        first = next(line for line in lines if line.split()[:2] == ["0", "120"])
        last = next(line for line in lines if line.split()[:2] == ["9", "1"])
        assert "many" in first and "few" in last
        assert first.count("▇") > last.count("▇") > 0
        await pilot.press("d")
        await wait(pilot, lambda: "train accuracy" in shown(pilot))


async def test_the_recipe_is_shown_with_what_was_changed(
    gallery: RunsPaths, opened: Any, wait: Any, shown: Any
) -> None:
    async with opened(gallery) as (app, pilot):
        await open_run(app, pilot, wait, shown)
        await pilot.press("3")
        await wait(pilot, lambda: "[dataset]" in shown(pilot))
        assert "loss.name=ldam" in shown(pilot)
        await pilot.press("end")
        await wait(pilot, lambda: "batch_size = 64" in shown(pilot))


async def test_the_log_is_followed_and_cannot_paint_the_terminal(
    gallery: RunsPaths, opened: Any, wait: Any, shown: Any
) -> None:
    log = gallery.run(RUNNING).log
    log.write_text("".join(f"line {n}\n" for n in range(500)))
    async with opened(gallery) as (app, pilot):
        await open_run(app, pilot, wait, shown)
        await pilot.press("4")
        await wait(pilot, lambda: "line 499" in shown(pilot))
        with log.open("ab") as file:
            file.write(b"\x1b[31mred\x1b[0m and \xff\xfe broken\nthe end\n")
        await wait(pilot, lambda: "the end" in shown(pilot))
        assert "red and" in shown(pilot) and "\x1b" not in shown(pilot)
        await pilot.press("home")
        await wait(pilot, lambda: "line 0" in shown(pilot))
        with log.open("ab") as file:
            file.write(b"one more\n")
        pane = app.screen.query_one("#log-text", Lines)
        await wait(pilot, lambda: pane.plain[-1] == "one more")
        assert "line 0" in shown(pilot)  # whoever reads back is not pulled to the end


async def test_a_failed_run_gives_its_reason_whole(
    gallery: RunsPaths, opened: Any, wait: Any, shown: Any
) -> None:
    async with opened(gallery) as (app, pilot):
        await open_run(app, pilot, wait, shown, "xceaac-ce-s2")
        await wait(pilot, lambda: "a smaller learning rate" in shown(pilot))
        assert "failed: the loss became nan at step 91" in shown(pilot)


async def test_stop_and_resume_are_offered_where_they_mean_something(
    gallery: RunsPaths, opened: Any, wait: Any, shown: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imbtui import worker

    asked: list[tuple[str, str]] = []
    monkeypatch.setattr(worker, "request_stop", lambda runs, run_id: asked.append(("stop", run_id)))
    monkeypatch.setattr(worker, "resume", lambda runs, run_id: asked.append(("resume", run_id)))
    async with opened(gallery) as (app, pilot):
        await open_run(app, pilot, wait, shown)
        await pilot.press("R")
        await pilot.press("X")
        assert isinstance(app.screen, Confirm)
        await pilot.press("y")
        await wait(pilot, lambda: asked == [("stop", RUNNING)])
        await pilot.press("escape")
        await open_run(app, pilot, wait, shown, "sceaab-ce-s1")
        await pilot.press("X")
        assert isinstance(app.screen, Run)
        await pilot.press("R")
        await wait(pilot, lambda: asked[1:] == [("resume", "sceaab-ce-s1")])


async def test_a_folder_deleted_while_it_is_shown_is_said(
    gallery: RunsPaths, opened: Any, wait: Any, shown: Any
) -> None:
    async with opened(gallery) as (app, pilot):
        await open_run(app, pilot, wait, shown, "fceaaa-ce-s0")
        shutil.rmtree(gallery.run("fceaaa-ce-s0").root)
        await wait(pilot, lambda: "folder is gone" in shown(pilot))
        await pilot.press("escape")
        assert app.is_running


async def test_a_run_without_metrics_says_so(gallery: RunsPaths, opened: Any, wait: Any, shown: Any) -> None:
    async with opened(gallery) as (app, pilot):
        await open_run(app, pilot, wait, shown, "qdrwab-ldam-drw-s1")
        await wait(pilot, lambda: "no metrics yet" in shown(pilot))
        await pilot.press("2")
        await wait(pilot, lambda: "no evaluation yet" in shown(pilot))
        await pilot.press("4")
        await wait(pilot, lambda: "the log is empty" in shown(pilot))


async def test_a_small_terminal_and_back(gallery: RunsPaths, opened: Any, wait: Any, shown: Any) -> None:
    async with opened(gallery) as (app, pilot):
        await open_run(app, pilot, wait, shown)
        for key in "123456":
            await pilot.press(key)
            for size in ((40, 10), (12, 4), (200, 50)):
                await pilot.resize_terminal(*size)
                await pilot.pause()
        await pilot.press("1")
        await wait(pilot, lambda: "balanced accuracy" in shown(pilot) and has_ink(shown(pilot)))


def test_bars_are_as_long_as_the_accuracy() -> None:
    lines = bars([0.0, 0.5, 1.0, None], [500, 50, 5], (20, 100), 60)
    drawn = [sum(len(text) for text, style in line if style == "bar") for line in lines[1:]]
    assert drawn == [0, 10, 20, 0]
    words = ["".join(text for text, _ in line).split() for line in lines[1:]]
    assert words[0][:3] == ["0", "500", "many"] and words[2][2] == "few" and words[3][-1] == "–"


def test_shots_are_counted_as_the_engine_does() -> None:
    assert [group_of(n, (20, 100)) for n in (19, 20, 100, 101)] == ["few", "medium", "medium", "many"]


async def test_the_curves_below_a_dialog_are_read(gallery: RunsPaths, opened: Any, wait: Any) -> None:
    async with opened(gallery) as (app, pilot):
        app.open_run("fceaaa-ce-s0")
        app.action_help()
        await wait(pilot, lambda: isinstance(app.screen, Help) and "fceaaa-ce-s0" in app.live.complete)
