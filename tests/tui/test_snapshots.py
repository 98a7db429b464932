"""How the screens look. `pytest tests/tui/test_snapshots.py --snapshot-update` accepts a change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from imbtui.paths import RunsPaths
from imbtui.tui.app import ImbtuiApp
from imbtui.tui.machine import Machine, MachineReader
from imbtui.tui.widgets.plot import Plot

SIZES = [(80, 24), (200, 50)]
RUNNING = "rldama-ldam-drw-s0"

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

    assert snap_compare(app, terminal_size=size, run_before=arrange)


@pytest.mark.parametrize(
    ("size", "tab", "sign"),
    [((80, 24), "1", "⠤"), ((200, 50), "1", "⠤"), ((80, 24), "2", "█")],
    ids=["curves-small", "curves-large", "classes"],
)
def test_run(
    app: ImbtuiApp,
    snap_compare: Any,
    wait: Any,
    shown: Callable[..., str],
    size: tuple[int, int],
    tab: str,
    sign: str,
) -> None:
    async def arrange(pilot: Any) -> None:
        await wait(pilot, lambda: app.live.listed)
        app.open_run(RUNNING)
        await wait(pilot, lambda: "epoch 50 of 80" in shown(pilot))
        await pilot.press(tab)
        await wait(pilot, lambda: sign in shown(pilot) and app.live.machine is not None)
        if tab == "2":
            await wait(pilot, lambda: " 120 " in shown(pilot))

    assert snap_compare(app, terminal_size=size, run_before=arrange)


def test_form(
    app: ImbtuiApp, snap_compare: Any, wait: Any, shown: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imbtui.tui.form import Form

    Path("recipes").mkdir()
    Path("recipes/mine.toml").write_text(RECIPE)
    monkeypatch.setattr(Form, "more", lambda self: [])  # how many there are changes with every plug-in

    async def arrange(pilot: Any) -> None:
        await wait(pilot, lambda: app.live.listed)
        app.open_form("mine")
        await wait(pilot, lambda: "6 runs: 2 arms" in shown(pilot))
        await pilot.press("down", "down", *"20", "enter")
        await wait(pilot, lambda: "● 20" in shown(pilot) and "6 runs: 2 arms" in shown(pilot))

    assert snap_compare(app, terminal_size=(80, 24), run_before=arrange)


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
        await pilot.pause()

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
            await pilot.pause()

    assert snap_compare(study_app, terminal_size=size, run_before=arrange)
