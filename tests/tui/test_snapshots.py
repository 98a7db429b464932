"""How the screens look. `pytest tests/tui/test_snapshots.py --snapshot-update` accepts a change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from imbtui.paths import RunsPaths
from imbtui.tui.app import ImbtuiApp
from imbtui.tui.machine import Machine, MachineReader

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
