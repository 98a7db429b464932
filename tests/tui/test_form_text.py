"""A form as a text: previewed, edited, saved as a recipe that gives the same runs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from imbtui.errors import UserError
from imbtui.paths import RunsPaths
from imbtui.recipe import load_study, parse_study
from imbtui.tui import editor, submission
from imbtui.tui.dialogs.ask_text import AskText
from imbtui.tui.dialogs.show_recipes import ShowRecipes
from imbtui.tui.form import Form
from imbtui.tui.recipe_text import recipe_text
from imbtui.tui.screens.form import FormScreen
from imbtui.tui.widgets.fields import Fields

RECIPE = """
# why this study is there
title = "a small study"
seeds = [0, 1]
[dataset]
name = "digits"
protocol = "long_tail"     # rank order by seed
[[corruptions]]
name = "long_tail"
ratio = 100
n_max = 120
[model]
name = "mlp"
hidden = [16]
[train]
epochs = 2
threads = 1
[[arms]]
label = "CE"
[[arms]]
label = "LDAM"
[arms.set]
"loss.name" = "ldam"
"loss.max_m" = 0.3
"model.head" = "cosine"
"methods.class_weights.start_epoch" = 1
"""


@pytest.fixture
def recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a recipe, as the current one."""
    (tmp_path / "work" / "recipes").mkdir(parents=True)
    (tmp_path / "work" / "recipes" / "mine.toml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work" / "recipes"


def form(**edits: str) -> Form:
    made = Form(RECIPE, Path("recipes/mine.toml"), "mine")
    for key, value in edits.items():
        fields = {field.key: field for field in [*made.main(), *made.more()]}
        made.change(fields[key.replace("__", ".")], value)
    return made


@pytest.mark.parametrize(
    "edits",
    [
        {},
        {"loss__name": "focal"},
        {"corruptions__long_tail__ratio": "10", "train__epochs": "3"},
        {"corruptions__label_noise__rate": "0.2", "model__head": "linear"},
        {"corruptions__long_tail__ratio": "1"},
        {"methods__class_weights": "false"},
    ],
)
def test_the_text_gives_the_runs_that_the_form_gives(edits: dict[str, str]) -> None:
    made = form(**edits)
    text = recipe_text(made)
    written = parse_study(text, made.path, name="mine")
    wanted = parse_study(RECIPE, made.path, name="mine", assignments=made.assignments())
    assert [run.digest for run in written.runs] == [run.digest for run in wanted.runs]
    assert "# why this study is there" in text and "# rank order by seed" in text


def test_seeds_and_devices_are_written_too() -> None:
    text = recipe_text(form(seeds="0-3", devices="cpu"))
    study = parse_study(text, Path("x.toml"), name="x")
    assert study.seeds == (0, 1, 2, 3) and study.runs[0].recipe.launch.gpus == "cpu"


async def open_form(app: Any, pilot: Any, wait: Any, shown: Any) -> None:
    app.open_form("mine")
    await wait(pilot, lambda: isinstance(app.screen, FormScreen) and "4 runs" in shown(pilot))


async def test_f3_shows_each_resolved_recipe(
    runs: RunsPaths, recipes: Path, opened: Any, wait: Any, shown: Any
) -> None:
    async with opened(runs) as (app, pilot):
        await open_form(app, pilot, wait, shown)
        await pilot.press("f3")
        await wait(
            pilot, lambda: isinstance(app.screen, ShowRecipes) and "CE   seed 0   1 of 2" in shown(pilot)
        )
        await pilot.press("right")
        await wait(pilot, lambda: "LDAM   seed 0   2 of 2" in shown(pilot))
        await pilot.press("escape")
        assert isinstance(app.screen, FormScreen)


async def test_the_form_is_saved_as_a_recipe(
    runs: RunsPaths, recipes: Path, opened: Any, wait: Any, shown: Any
) -> None:
    async with opened(runs) as (app, pilot):
        await open_form(app, pilot, wait, shown)
        await pilot.press("down", "down", *"20", "enter", "ctrl+s")
        await wait(pilot, lambda: isinstance(app.screen, AskText))
        await pilot.press("ctrl+u", *"mine", "enter")
        await wait(pilot, lambda: "there is such a recipe" in shown(pilot))
        await pilot.press(*"-20", "enter")
        await wait(pilot, lambda: (recipes / "mine-20.toml").is_file())
        ratios = {run.recipe.corruptions[0].options["ratio"] for run in load_study("mine-20").runs}
        assert ratios == {20}


async def test_the_text_is_edited_in_the_user_s_editor(
    runs: RunsPaths, recipes: Path, opened: Any, wait: Any, shown: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["title = ", RECIPE.replace("seeds = [0, 1]", "seeds = [0, 1, 2]")]
    seen: list[str] = []

    def edit(app: Any, text: str, *, name: str) -> str:
        seen.append(text)
        return texts[len(seen) - 1]

    monkeypatch.setattr(editor, "edit", edit)
    async with opened(runs) as (app, pilot):
        await open_form(app, pilot, wait, shown)
        await pilot.press("f4")
        await wait(pilot, lambda: "not valid TOML" in shown(pilot) and "opens the text again" in shown(pilot))
        await pilot.press("f4")
        await wait(pilot, lambda: "6 runs" in shown(pilot) and "(edited)" in shown(pilot))
        assert seen[1] == "title = "  # what was wrong is not lost


def test_an_editor_that_is_not_there_or_fails_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    class App:
        def suspend(self) -> Any:
            import contextlib

            return contextlib.nullcontext()

    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", "no-such-editor-anywhere")
    with pytest.raises(UserError, match="cannot be started"):
        editor.edit(App(), "x", name="a.toml")  # type: ignore[arg-type]
    monkeypatch.setenv("EDITOR", "false")
    with pytest.raises(UserError, match="ended with 1"):
        editor.edit(App(), "x", name="a.toml")  # type: ignore[arg-type]
    monkeypatch.setenv("EDITOR", "sed -i s/x/y/")
    assert editor.edit(App(), "x", name="a.toml") == "y"  # type: ignore[arg-type]


def test_time_is_estimated_from_runs_like_these(runs: RunsPaths, make_run: Any) -> None:
    from imbtui import submit

    study = parse_study(RECIPE, Path("recipes/mine.toml"), name="mine")
    entries = submit.plan(runs, [study])
    assert "no earlier run" in submission.estimate(runs, entries, "cpu")
    for seed in range(3):
        make_run(f"old{'abc'[seed]}aa-ce-s{seed}", seed=seed)  # 12.4 s for 80 epochs of the same network
    said = submission.estimate(runs, entries, "cpu")
    at_once = min(4, os.cpu_count() or 1)
    assert said.startswith(f"; about {4 * 12.4 * 2 / 80 / at_once:.1f} s") and "by earlier runs" in said


def test_the_editor_is_a_program_with_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[list[str]] = []
    monkeypatch.setenv("VISUAL", "code --wait")

    class App:
        def suspend(self) -> Any:
            import contextlib

            return contextlib.nullcontext()

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[bytes]:
        called.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", run)
    assert editor.edit(App(), "text", name="mine.toml") == "text"  # type: ignore[arg-type]
    assert called[0][:2] == ["code", "--wait"] and called[0][2].endswith("mine.toml")


async def test_a_wide_form_has_the_resolved_recipes_beside_it(
    runs: RunsPaths, recipes: Path, opened: Any, wait: Any, shown: Any
) -> None:
    async with opened(runs, (200, 50)) as (app, pilot):
        await open_form(app, pilot, wait, shown)
        await wait(pilot, lambda: "CE   seed 0   1 of 2" in shown(pilot) and "ratio = 100" in shown(pilot))
        await pilot.press("down", "down", *"20", "enter")
        await wait(pilot, lambda: "ratio = 20.0" in shown(pilot))
        await pilot.press("f3", "right")
        await wait(pilot, lambda: "LDAM   seed 0   2 of 2" in shown(pilot))
        await pilot.press("escape")
        assert isinstance(app.screen, FormScreen) and isinstance(app.focused, Fields)
        await pilot.press("escape")
        assert not isinstance(app.screen, FormScreen)
