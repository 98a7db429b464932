"""How the screens look. `pytest tests/tui/test_snapshots.py --snapshot-update` accepts a change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input

from imbtui.paths import RunsPaths
from imbtui.tui.app import ImbtuiApp
from imbtui.tui.machine import Machine, MachineReader
from imbtui.tui.widgets.plot import Plot

SIZES = [(80, 24), (200, 50)]
RUNNING, DONE = "rldama-ldam-drw-s0", "fdrwaa-drw-s0"

RECIPE = """
title = "Long-tailed digits: CE against LDAM"
seeds = [0, 1, 2]
[dataset]
name = "digits"
protocol = "long_tail"
[[corruptions]]
name = "long_tail"
ratio = 100
n_max = 120
[model]
name = "mlp"
[[arms]]
label = "CE"
[[arms]]
label = "LDAM"
[arms.set]
"loss.name" = "ldam"
"""


@pytest.fixture
def app(gallery: RunsPaths, monkeypatch: pytest.MonkeyPatch) -> ImbtuiApp:
    """The dashboard over runs of every state, on a machine that is always equally busy."""
    monkeypatch.chdir(gallery.root.parent)
    monkeypatch.setattr(MachineReader, "read", lambda self, running=(): Machine(cores=2, cpu=0.34))
    return ImbtuiApp(gallery)


@pytest.mark.parametrize("size", SIZES, ids=["small", "large"])
def test_runs(app: ImbtuiApp, snap_compare: Any, wait: Any, shown: Any, size: tuple[int, int]) -> None:
    async def arrange(pilot: Any) -> None:
        await wait(pilot, lambda: app.live.listed)
        await pilot.press("down")
        await wait(pilot, lambda: "ldam · digits" in shown(pilot) and "34 %" in shown(pilot))
        if size == (200, 50):
            await wait(pilot, lambda: "few-shot" in shown(pilot))
        await settled(pilot)

    assert snap_compare(app, terminal_size=size, run_before=arrange)


@pytest.fixture
def rich_app(rich: RunsPaths, app: ImbtuiApp) -> ImbtuiApp:
    """The dashboard over the same runs; one of them has left all that a run may leave."""
    return app


@pytest.mark.parametrize("size", SIZES, ids=["small", "large"])
@pytest.mark.parametrize(
    ("run_id", "tab", "signs"),
    [
        (RUNNING, "1", ("⠤", "62 %")),
        (DONE, "2", ("▇", " 120 ")),
        (DONE, "3", ("# changed when it was submitted", "[dataset]")),
        (DONE, "4", ("line 199",)),
        (DONE, "5", ("CPU of the process", "seconds")),
        (DONE, "6", ("transition/large", "masks-level-1", "confusion.json")),
    ],
    ids=["curves", "classes", "recipe", "log", "system", "probes"],
)
def test_run(
    rich_app: ImbtuiApp,
    snap_compare: Any,
    wait: Any,
    shown: Callable[..., str],
    size: tuple[int, int],
    run_id: str,
    tab: str,
    signs: tuple[str, ...],
) -> None:
    async def arrange(pilot: Any) -> None:
        await wait(pilot, lambda: rich_app.live.listed)
        rich_app.open_run(run_id)
        await wait(pilot, lambda: run_id in rich_app.live.complete)
        await pilot.press(tab)
        await wait(pilot, lambda: all(sign in shown(pilot) for sign in signs) and "34 %" in shown(pilot))
        if size == (200, 50) and tab == "2":
            await wait(pilot, lambda: "test confusion" in shown(pilot))
        await settled(pilot)

    assert snap_compare(rich_app, terminal_size=size, run_before=arrange)


# Keys from home, what must be on the screen before the last of them, and what after it.
DIALOGS: dict[str, tuple[tuple[str, ...], str, str]] = {
    "groups": (("v",), "34 %", "0.5934 ±0.0140"),
    "log-search": (
        ("end", "enter", "4", "slash", *"epoch", "space", "7", "enter"),
        "5 of 5 lines",
        "n next hit",
    ),
    "help": (("question_mark",), "34 %", "Keys: Runs"),
    "palette": (("ctrl+p",), "34 %", "Sort by the next column"),
    "jump": (("ctrl+o",), "34 %", "A letter goes there"),
    "confirm": (("down", "down", "space", "space", "delete"), "34 %", "Delete 2 runs?"),
    "choose": (("o", *"a"), "34 %", "⏎ chooses"),
    "ask": (("down", "down", "t"), "34 %", "⏎ takes it"),
}


@pytest.mark.parametrize("size", SIZES, ids=["small", "large"])
@pytest.mark.parametrize("name", DIALOGS)
def test_over_the_runs(
    app: ImbtuiApp, snap_compare: Any, wait: Any, shown: Any, name: str, size: tuple[int, int]
) -> None:
    keys, before, after = DIALOGS[name]

    async def arrange(pilot: Any) -> None:
        await wait(pilot, lambda: app.live.listed and app.live.machine is not None)
        await settled(pilot)
        await pilot.press(*keys[:-1])
        await wait(pilot, lambda: before in shown(pilot))
        await settled(pilot)
        await pilot.press(keys[-1])
        await wait(pilot, lambda: after in shown(pilot))
        still(app)
        await settled(pilot)

    assert snap_compare(app, terminal_size=size, run_before=arrange)


async def settled(pilot: Any) -> None:
    """Wait until three looks in a row see the same picture, colours included, with the curves it asks for."""
    seen: list[str] = []
    while len(seen) < 3 or len(set(seen[-3:])) > 1 or not caught_up(pilot.app):
        await pilot.pause(0.15)
        seen.append(pilot.app.export_screenshot())


def caught_up(app: ImbtuiApp) -> bool:
    """Whether the curves that the screen asks for have been read: below a dialog none are."""
    wants = getattr(app.screen, "wants", None)
    return wants is None or wants().curves <= app.live.curves.keys()


def still(app: ImbtuiApp) -> None:
    """Let no cursor blink."""
    for field in app.screen.query(Input):
        field.cursor_blink = False


@pytest.fixture
def form_app(app: ImbtuiApp, monkeypatch: pytest.MonkeyPatch) -> ImbtuiApp:
    """The dashboard with one recipe, of which it shows the main knobs alone."""
    from imbtui.tui.form import Form

    Path("recipes").mkdir()
    Path("recipes/mine.toml").write_text(RECIPE)
    monkeypatch.setattr("imbtui.recipe.library.packaged", lambda: Path("none"))
    monkeypatch.setattr(Form, "more", lambda self: [])  # how many there are changes with every plug-in
    return app


@pytest.mark.parametrize("size", SIZES, ids=["small", "large"])
@pytest.mark.parametrize("step", ["new-run", "form", "save"])
def test_new_run(
    form_app: ImbtuiApp, snap_compare: Any, wait: Any, shown: Any, step: str, size: tuple[int, int]
) -> None:
    async def arrange(pilot: Any) -> None:
        await wait(pilot, lambda: form_app.live.listed and form_app.live.machine is not None)
        await pilot.press("n")
        await wait(pilot, lambda: "6 runs" in shown(pilot) and "34 %" in shown(pilot))
        if step != "new-run":
            await pilot.press("enter")
            await wait(pilot, lambda: "6 runs: 2 arms" in shown(pilot))
            await pilot.press("down", "down", *"20", "enter")
            await wait(pilot, lambda: "● 20" in shown(pilot) and "6 runs: 2 arms" in shown(pilot))
        if step == "save":
            await pilot.press("ctrl+s")
            await wait(pilot, lambda: "mine-2" in shown(pilot))
        still(form_app)
        await settled(pilot)

    assert snap_compare(form_app, terminal_size=size, run_before=arrange)


@pytest.fixture
def study_app(runs: RunsPaths, study: list[Any], monkeypatch: pytest.MonkeyPatch) -> ImbtuiApp:
    """The dashboard over one study, with the recipes of no paper."""
    monkeypatch.chdir(runs.root.parent)
    monkeypatch.setattr("imbtui.recipe.library.packaged", lambda: runs.root.parent / "none")
    monkeypatch.setattr(MachineReader, "read", lambda self, running: Machine(cores=2, cpu=0.34))
    return ImbtuiApp(runs)


@pytest.mark.parametrize("size", SIZES, ids=["small", "large"])
def test_queue(app: ImbtuiApp, snap_compare: Any, wait: Any, shown: Any, size: tuple[int, int]) -> None:
    async def arrange(pilot: Any) -> None:
        await wait(pilot, lambda: app.live.listed)
        await pilot.press("Q", "down")
        await wait(pilot, lambda: "slots:" in shown(pilot) and "epoch 50 of 80" in shown(pilot))
        await settled(pilot)

    from imbtui import queue

    queue.set_slots(app.runs, 2)
    assert snap_compare(app, terminal_size=size, run_before=arrange)


@pytest.mark.parametrize("size", SIZES, ids=["small", "large"])
def test_compare(
    study_app: ImbtuiApp, snap_compare: Any, wait: Any, shown: Any, size: tuple[int, int]
) -> None:
    async def arrange(pilot: Any) -> None:
        await wait(pilot, lambda: study_app.live.listed)
        await pilot.press("c")
        await wait(pilot, lambda: "p = " in shown(pilot) and len(study_app.live.complete) == 6)
        await wait(pilot, lambda: "b LDAM" in shown(pilot) and "34 %" in shown(pilot))
        plot = study_app.screen.query_one(Plot)
        await wait(pilot, lambda: [len(one.low) for one in plot._series] == [40, 40])
        await settled(pilot)

    assert snap_compare(study_app, terminal_size=size, run_before=arrange)


@pytest.mark.parametrize("size", SIZES, ids=["small", "large"])
def test_papers(
    study_app: ImbtuiApp, snap_compare: Any, wait: Any, shown: Any, size: tuple[int, int]
) -> None:
    async def arrange(pilot: Any) -> None:
        await wait(pilot, lambda: study_app.live.listed)
        await pilot.press("P")
        await wait(pilot, lambda: "reading" not in shown(pilot) and "34 %" in shown(pilot))
        await pilot.press("down", "down")
        await wait(pilot, lambda: "Label-Distribution" in shown(pilot))
        await settled(pilot)

    assert snap_compare(study_app, terminal_size=size, run_before=arrange)


@pytest.mark.parametrize("size", SIZES, ids=["small", "large"])
def test_paper(study_app: ImbtuiApp, snap_compare: Any, wait: Any, shown: Any, size: tuple[int, int]) -> None:
    async def arrange(pilot: Any) -> None:
        await wait(pilot, lambda: study_app.live.listed)
        study_app.open_paper("cao2019")
        await wait(pilot, lambda: "Claims of mine" in shown(pilot) and "34 %" in shown(pilot))
        await wait(pilot, lambda: len(study_app.live.complete) == 6)
        if size == (200, 50):
            await wait(pilot, lambda: "b LDAM" in shown(pilot))
            plot = study_app.screen.query_one(Plot)
            await wait(pilot, lambda: [len(one.low) for one in plot._series] == [40, 40])
        await settled(pilot)

    assert snap_compare(study_app, terminal_size=size, run_before=arrange)
