"""One run, in depth: reading curves, confusion, origins of values, log search, load, probes, artefacts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import OptionList

from imbtui import files
from imbtui.paths import RunsPaths
from imbtui.tui import artefacts
from imbtui.tui.curves import Line
from imbtui.tui.origins import origins
from imbtui.tui.screens.run import Run
from imbtui.tui.series import Smoother
from imbtui.tui.widgets.filter_line import FilterLine
from imbtui.tui.widgets.heat_map import HeatMap
from imbtui.tui.widgets.plot import Plot

DONE = "fdrwaa-drw-s0"


async def open_run(app: Any, pilot: Any, wait: Any, shown: Any, tab: str = "1") -> None:
    app.open_run(DONE)
    await wait(pilot, lambda: isinstance(app.screen, Run) and "⠤⠤⠤⠤ test" in shown(pilot))
    await pilot.press(tab)


async def test_the_read_out_zoom_and_smoothing_of_curves(
    rich: RunsPaths, opened: Any, wait: Any, shown: Any
) -> None:
    async with opened(rich, (100, 24)) as (app, pilot):
        await open_run(app, pilot, wait, shown)
        line = app.live.curves[DONE].lines["test/balanced_accuracy"]
        await pilot.press("left")
        await wait(pilot, lambda: f"epoch 80  ⠤⠤⠤⠤ test {line.values[-1]:.4f}" in shown(pilot))
        await pilot.press(*["left"] * 30)
        at = int(shown(pilot).split("epoch ")[1].split()[0])
        assert 40 < at < 70 and f"test {line.values[line.epochs.index(at)]:.4f}" in shown(pilot)
        assert "┊" in shown(pilot)
        await pilot.press("z", "z")
        plot = app.screen.query(Plot).first()
        first, last = plot.x_range
        assert last - first == pytest.approx(20) and first < at < last and "zoomed" in shown(pilot)
        await pilot.press("Z", "Z")
        assert plot.x_range == (0.0, 80.0)
        await pilot.press("backspace", "plus", "plus", "plus")
        await wait(pilot, lambda: "smoothed 0.8" in shown(pilot))
        await pilot.press("0", "d")
        await wait(
            pilot, lambda: "smoothed" not in shown(pilot) and "train" not in shown(pilot).split("Curves")[1]
        )
        await pilot.press("d", "d", "d", "x", "x")
        await wait(pilot, lambda: "seconds" in shown(pilot))
        await pilot.press("x", "f", *"nll", "enter")
        await wait(pilot, lambda: "nll" in shown(pilot).splitlines()[3])
        await pilot.click(plot, offset=(40, 8))
        await wait(pilot, lambda: "┊" in shown(pilot))


def test_means_do_not_lean_towards_zero_and_go_on_where_they_were() -> None:
    line = Line()
    line.values.extend([1.0, 3.0])
    smoother = Smoother()
    assert list(smoother.smooth(line, 0.5)) == pytest.approx([1.0, (0.25 * 1 + 0.5 * 3) / 0.75])
    line.values.append(3.0)
    whole = [1.0, (0.25 + 1.5) / 0.75, (0.125 + 0.75 + 1.5) / 0.875]
    assert list(smoother.smooth(line, 0.5)) == pytest.approx(whole)
    assert list(smoother.smooth(line, 0.0)) == [1.0, 3.0, 3.0]


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_the_confusion_matrix_is_a_heat_map(
    rich: RunsPaths, opened: Any, wait: Any, shown: Any, size: tuple[int, int]
) -> None:
    async with opened(rich, size) as (app, pilot):
        await open_run(app, pilot, wait, shown, "2")
        if size == (80, 24):
            await pilot.press("v")
        await wait(pilot, lambda: "test confusion" in shown(pilot))
        lines = app.screen.query_one("#confusion", HeatMap).plain
        assert lines[3].split() == ["0", "82", *["2"] * 9]  # 40 of 49 are right
        assert ("trained on" in shown(pilot)) is (size == (200, 50))


async def test_the_recipe_tells_where_its_values_come_from(
    rich: RunsPaths, opened: Any, wait: Any, shown: Any
) -> None:
    submit = json.loads(rich.run(DONE).submit.read_text())
    submit |= {"arm": "DRW", "overrides": ["train.epochs=80"], "source": SOURCE}
    files.write_json(rich.run(DONE).submit, submit)
    async with opened(rich, (100, 40)) as (app, pilot):
        await open_run(app, pilot, wait, shown, "3")
        await wait(pilot, lambda: "[dataset]" in shown(pilot))
        await pilot.press("v")
        await wait(pilot, lambda: "20 → 80   --set" in shown(pilot))
        assert "Filled in by defaults" in shown(pilot)


SOURCE = """
title = "Long-tailed digits: CE, DRW, LDAM-DRW"
[dataset]
name = "digits"
[train]
epochs = 20
[loss]
name = "focal"
gamma = 1.0
[[arms]]
label = "base"
set = { "loss.name" = "cross_entropy" }
[[arms]]
label = "DRW"
extends = "base"
set = { "methods.class_weights.start_epoch" = "60%" }
"""


def test_origins_name_who_changed_a_value() -> None:
    resolved = {
        "loss": {"name": "cross_entropy", "start_epoch": 0},
        "train": {"epochs": 80},
        "dataset": {"name": "digits"},
        "methods": [{"name": "class_weights", "start_epoch": "60%"}],
    }
    submit = {"arm": "DRW", "overrides": ["train.epochs=80"], "point": {}}
    found = {o.key: (o.before, o.after, o.by) for o in origins(SOURCE, resolved, submit)}
    assert found["loss.name"] == ("focal", "cross_entropy", "arm base")
    assert found["loss.gamma"] == ("1", "", "arm base")
    assert found["loss.start_epoch"] == ("", "0", "")
    assert found["methods.class_weights"] == ("", "true", "arm DRW")
    assert found["methods.class_weights.start_epoch"] == ("", "60%", "arm DRW")
    assert found["train.epochs"] == ("20", "80", "--set")
    assert "dataset.name" not in found
    assert origins("not [ toml", resolved, submit) == []


async def test_the_log_is_searched(rich: RunsPaths, opened: Any, wait: Any, shown: Any) -> None:
    async with opened(rich) as (app, pilot):
        await open_run(app, pilot, wait, shown, "4")
        await wait(pilot, lambda: "line 199" in shown(pilot))
        await pilot.press("slash", *"loss")
        await wait(pilot, lambda: "4 of 4 lines" in shown(pilot) and "line 157 Loss spike" in shown(pilot))
        await pilot.press("enter", "n")
        await wait(pilot, lambda: "1 of 4 lines" in shown(pilot) and "line 7 Loss spike" in shown(pilot))
        await pilot.press("N")
        await wait(pilot, lambda: "4 of 4 lines" in shown(pilot))
        assert app.screen.query_one(FilterLine).line.text == "loss"
        await pilot.press("escape")
        await wait(pilot, lambda: "of 4" not in shown(pilot))
        await pilot.press("escape")
        assert not isinstance(app.screen, Run)


async def test_the_load_on_the_machine_is_drawn(rich: RunsPaths, opened: Any, wait: Any, shown: Any) -> None:
    async with opened(rich, (200, 50)) as (app, pilot):
        await open_run(app, pilot, wait, shown, "5")
        await wait(pilot, lambda: "CPU of the process" in shown(pilot) and "machine in use" in shown(pilot))
        assert "seconds" in shown(pilot)
        await pilot.press("left")
        await wait(pilot, lambda: "process/cpu 0.9000" in shown(pilot))


async def test_probes_and_artefacts_are_listed_and_shown(
    rich: RunsPaths, opened: Any, wait: Any, shown: Any
) -> None:
    async with opened(rich, (100, 30)) as (app, pilot):
        await open_run(app, pilot, wait, shown, "6")
        await wait(pilot, lambda: "masks-level-1" in shown(pilot))
        listed = app.screen.query_one(OptionList)
        assert isinstance(app.focused, OptionList)
        assert "lottery/density" in shown(pilot)
        await pilot.press("down", "down")
        await wait(pilot, lambda: "norms/head_class, newest" in shown(pilot) and "1.5000" in shown(pilot))
        await pilot.press("down")
        await wait(pilot, lambda: "1    .50    1" in shown(pilot) or ".50" in shown(pilot))
        while "masks-level-1" not in str(listed.highlighted_option.prompt):
            await pilot.press("down")
        await wait(pilot, lambda: "75.00 % of 8 weights are pruned" in shown(pilot))


async def test_a_run_without_probes_says_what_to_do(
    gallery: RunsPaths, opened: Any, wait: Any, shown: Any
) -> None:
    async with opened(gallery) as (app, pilot):
        await open_run(app, pilot, wait, shown, "6")
        await wait(
            pilot, lambda: "No probe has measured anything" in shown(pilot) and "[[probes]]" in shown(pilot)
        )
        await pilot.press("5")
        await wait(pilot, lambda: "nothing was recorded" in shown(pilot))


def test_what_cannot_be_read_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    (tmp_path / "b.safetensors").write_bytes(b"12345678garbage")
    (tmp_path / "c.bin").write_bytes(b"x")
    assert [a.name for a in artefacts.listed(tmp_path)] == ["a.json", "b.safetensors", "c.bin"]
    assert artefacts.read(tmp_path / "a.json").about == ("not what its name says",)
    assert artefacts.read(tmp_path / "b.safetensors").about == ("not what its name says",)
    assert artefacts.read(tmp_path / "c.bin") == artefacts.Content()
    assert "cannot be read" in artefacts.read(tmp_path / "none.json").about[0]
