"""A new run by keyboard alone: recipe, form, check, launch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Button

from imbtui import store
from imbtui.paths import RunsPaths
from imbtui.tui.dialogs.choose import Choose
from imbtui.tui.screens.form import FormScreen
from imbtui.tui.screens.new_run import NewRun
from imbtui.tui.screens.runs import Runs
from imbtui.tui.widgets.fields import Fields


async def open_form(app: Any, pilot: Any, wait: Any, shown: Any, recipe: str = "mine") -> None:
    await pilot.press("n")
    await wait(pilot, lambda: isinstance(app.screen, NewRun) and "quickstart " in shown(pilot))
    await pilot.press(*recipe)
    await wait(pilot, lambda: f"{recipe} " in shown(pilot))
    await pilot.press("enter")
    await wait(pilot, lambda: isinstance(app.screen, FormScreen) and "4 runs" in shown(pilot))


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_recipes_are_listed_with_title_paper_and_claim(
    runs: RunsPaths, recipes: Path, opened: Any, wait: Any, shown: Any, size: tuple[int, int]
) -> None:
    async with opened(runs, size) as (app, pilot):
        await pilot.press("n")
        await wait(pilot, lambda: "quickstart" in shown(pilot) and "9 runs:" in shown(pilot))
        assert "after Learning Imbalanced Datasets with Label-Distribution-Aware" in shown(pilot)
        await pilot.press(*"mine")
        await wait(pilot, lambda: "a small study" in shown(pilot) and "quickstart" not in shown(pilot))
        await wait(pilot, lambda: "claims, in 4 runs:" in shown(pilot))
        assert "· LDAM is better" in shown(pilot)
        await pilot.press(*"zzz")
        await wait(pilot, lambda: "No recipe matches" in shown(pilot))
        await pilot.press("escape")
        assert isinstance(app.screen, Runs)


async def test_a_broken_recipe_says_what_is_wrong_with_it(
    runs: RunsPaths, recipes: Path, opened: Any, wait: Any, shown: Any
) -> None:
    async with opened(runs) as (app, pilot):
        await pilot.press("n")
        await wait(pilot, lambda: "quickstart" in shown(pilot))
        await pilot.press(*"broken")
        await wait(pilot, lambda: "cannot be read" in shown(pilot))
        await pilot.press("enter")
        await wait(pilot, lambda: "cannot be launched" in shown(pilot))
        assert "not valid TOML" in shown(pilot)
        assert app.screen.query_one("#launch", Button).disabled


async def test_the_main_knobs_fit_one_small_screen(
    runs: RunsPaths, recipes: Path, opened: Any, wait: Any, shown: Any
) -> None:
    async with opened(runs) as (app, pilot):
        await open_form(app, pilot, wait, shown)
        text = " ".join(shown(pilot).split())
        for label in (
            "Loss",
            "Data set",
            "Imbalance ratio",
            "Noise rate",
            "Pruning rounds",
            "Seeds",
            "Devices",
        ):
            assert label in text
        assert "Launch" in text and "Back" in text and "4 runs: 2 arms × 2 seeds" in text
        assert "differs by arm" in text and "cross_entropy: CE; ldam: LDAM" in text
        assert "would replace that in every arm" in text
        assert isinstance(app.focused, Fields)


async def test_wrong_values_are_complained_about_as_on_the_command_line(
    runs: RunsPaths, recipes: Path, opened: Any, wait: Any, shown: Any
) -> None:
    async with opened(runs) as (app, pilot):
        await open_form(app, pilot, wait, shown)
        await pilot.press("down", "down", *"0.5")
        await wait(pilot, lambda: "at least 1" in shown(pilot))
        assert "recipes/mine.toml, corruptions.long_tail.ratio:" in shown(pilot)
        assert app.screen.query_one("#launch", Button).disabled
        await pilot.press("escape")
        await wait(pilot, lambda: "4 runs: 2 arms" in shown(pilot))
        await pilot.press("down", *"1.5", "enter")
        await wait(pilot, lambda: "label_noise.rate: this must be at most 1" in shown(pilot))
        await pilot.press("up", "backspace")
        await wait(pilot, lambda: "4 runs: 2 arms" in shown(pilot))
        await pilot.press("end", "up", "up", *"3-1", "enter")  # seeds
        await wait(pilot, lambda: "counts downwards" in shown(pilot))
        await pilot.press("up", "delete", "down", *"gpu7", "enter")
        await wait(pilot, lambda: "is not a list of GPUs" in shown(pilot))
        await pilot.press("up", "delete")
        await wait(pilot, lambda: "4 runs: 2 arms" in shown(pilot))
    assert store.list_ids(runs) == []


async def test_missing_data_is_said_before_anything_is_created(
    runs: RunsPaths, recipes: Path, opened: Any, wait: Any, shown: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMBTUI_DATA", str(recipes / "nothing"))
    async with opened(runs) as (app, pilot):
        await open_form(app, pilot, wait, shown)
        await pilot.press("down", "enter")
        await wait(pilot, lambda: isinstance(app.screen, Choose))
        assert "not there. Get it with: imbtui data get mnist" in shown(pilot)
        await pilot.press(*"mnist", "enter")
        await wait(pilot, lambda: "imbtui data get mnist" in shown(pilot) and "was not found" in shown(pilot))
        await pilot.press("ctrl+l")
        await wait(pilot, lambda: "was not found" in shown(pilot))
        assert isinstance(app.screen, FormScreen)
    assert store.list_ids(runs) == []


async def test_choices_are_typed_turned_or_picked_from_a_list(
    runs: RunsPaths, recipes: Path, opened: Any, wait: Any, shown: Any
) -> None:
    async with opened(runs) as (app, pilot):
        await open_form(app, pilot, wait, shown)
        fields = app.screen.query_one(Fields)
        loss = fields.lines[0]
        await pilot.press(*"foc")
        assert "focal" in shown(pilot)  # what it begins is shown
        await pilot.press("enter")
        await wait(pilot, lambda: fields.lines[0].value == "focal")
        await pilot.press("up", "right")
        await wait(pilot, lambda: fields.lines[0].value == loss.choices[loss.choices.index("focal") + 1])
        await pilot.press("enter")
        await wait(pilot, lambda: isinstance(app.screen, Choose))
        await pilot.press(*"ldam", "enter")
        await wait(pilot, lambda: isinstance(app.screen, FormScreen) and fields.lines[0].value == "ldam")
        await pilot.press("up", "enter")
        await wait(pilot, lambda: isinstance(app.screen, Choose))
        await pilot.press("escape")
        assert fields.lines[0].value == "ldam"


async def test_a_value_is_edited_like_in_any_input(
    runs: RunsPaths, recipes: Path, opened: Any, wait: Any, shown: Any
) -> None:
    async with opened(runs) as (app, pilot):
        await open_form(app, pilot, wait, shown)
        fields = app.screen.query_one(Fields)
        await pilot.press("down", "down", "enter")
        assert fields.text == "100"
        await pilot.press("home", "2", "right", "delete", "end", "backspace", "5")
        assert fields.text == "215"
        await pilot.press("left", "left", "ctrl+u", *"33")
        await pilot.press("escape")
        await wait(pilot, lambda: fields.lines[2].value == "100" and fields.text is None)
        await pilot.press(*"40", "tab")
        await wait(pilot, lambda: fields.lines[2].value == "40")
        assert app.focused is app.screen.query_one("#launch", Button)


async def test_letters_are_typed_and_do_nothing_else(
    runs: RunsPaths, recipes: Path, opened: Any, wait: Any, shown: Any
) -> None:
    async with opened(runs) as (app, pilot):
        await open_form(app, pilot, wait, shown)
        await pilot.press("tab", "q", "n")
        assert isinstance(app.screen, FormScreen) and app.is_running


async def test_all_other_options_are_under_more(
    runs: RunsPaths, recipes: Path, opened: Any, wait: Any, shown: Any
) -> None:
    async with opened(runs) as (app, pilot):
        await open_form(app, pilot, wait, shown)
        fields = app.screen.query_one(Fields)
        await pilot.press("end", "enter")
        await wait(pilot, lambda: len(fields.lines) > 40)
        await pilot.press("end")
        await wait(pilot, lambda: "train also what has finished before" in shown(pilot))
        while not (fields.field and fields.field.key == "train.epochs"):
            await pilot.press("up")
        await pilot.press("7", "enter")
        await wait(pilot, lambda: any(getattr(line, "value", "") == "7" for line in fields.lines))
        await pilot.press("ctrl+t")
        await wait(pilot, lambda: len(fields.lines) == 9)


async def test_a_key_that_the_grid_varies_cannot_be_set(
    runs: RunsPaths, recipes: Path, opened: Any, wait: Any, shown: Any
) -> None:
    mine = recipes / "recipes" / "mine.toml"
    mine.write_text(mine.read_text() + '\n[grid]\n"corruptions.long_tail.ratio" = [10]\n')
    async with opened(runs) as (app, pilot):
        await open_form(app, pilot, wait, shown)
        assert "the grid varies it: 10" in shown(pilot)
        await pilot.press("down", "down", "5")
        assert app.screen.query_one(Fields).text is None


@pytest.mark.parametrize("how", ["key", "button"])
async def test_launching_queues_what_the_form_says(
    runs: RunsPaths,
    recipes: Path,
    opened: Any,
    wait: Any,
    shown: Any,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    from imbtui import worker

    woken: list[Any] = []
    monkeypatch.setattr(worker, "ensure", woken.append)
    async with opened(runs) as (app, pilot):
        await open_form(app, pilot, wait, shown)
        await pilot.press(*"focal", "enter", "down", *"20", "enter", *"0.1", "enter", "down", "2", "enter")
        await pilot.press("4", "enter", *"cpu")  # still typing when it is launched
        await wait(pilot, lambda: "2 runs: 2 arms × 1 seed" in shown(pilot))
        if how == "key":
            await pilot.press("ctrl+l")
        else:
            await pilot.press("tab", "enter")
        await wait(pilot, lambda: isinstance(app.screen, Runs) and "LDAM" in shown(pilot))
        assert woken == [runs]
        assert any("2 runs queued" in n.message for n in app._notifications)
    views = [store.read(runs.run(run_id)) for run_id in store.list_ids(runs)]
    assert {view.arm for view in views} == {"CE", "LDAM"}
    for view in views:
        assert view.seed == 4 and view.submit["gpus"] == "cpu" and view.recipe["loss"]["name"] == "focal"
        members = {m["name"]: m for m in [*view.recipe["corruptions"], *view.recipe["methods"]]}
        assert members["long_tail"]["ratio"] == 20
        assert members["label_noise"]["rate"] == 0.1
        assert members["lottery"]["rounds"] == 2
    assert len(store.studies(runs)) == 1


async def test_what_is_under_way_is_joined_and_said(
    runs: RunsPaths, recipes: Path, opened: Any, wait: Any, shown: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imbtui import worker

    monkeypatch.setattr(worker, "ensure", lambda runs: None)
    async with opened(runs) as (app, pilot):
        await open_form(app, pilot, wait, shown)
        await pilot.press("ctrl+l")
        await wait(pilot, lambda: isinstance(app.screen, Runs) and len(app.live.rows) == 4)
        await open_form(app, pilot, wait, shown)
        await wait(pilot, lambda: "4 under way already" in shown(pilot))
    assert len(store.list_ids(runs)) == 4


async def test_a_folder_that_cannot_be_written_to_is_said(
    tmp_path: Path, recipes: Path, opened: Any, wait: Any, shown: Any
) -> None:
    (tmp_path / "file").write_text("")
    async with opened(RunsPaths(tmp_path / "file" / "runs")) as (app, pilot):
        await open_form(app, pilot, wait, shown)
        await pilot.press("ctrl+l")
        await wait(pilot, lambda: "runs folder cannot be made" in shown(pilot))
        assert isinstance(app.screen, FormScreen)
