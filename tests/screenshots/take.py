"""The pictures of the README, from real runs: `python tests/screenshots/take.py RUNS [NAME...]`.

RUNS is a runs folder in which all quick studies have run, and others are under way:

    imbtui run quickstart recipes/*/quick.toml --cpu --runs RUNS
    imbtui run quickstart --set train.epochs=100000 --cpu --detach --runs RUNS
    python tests/screenshots/take.py RUNS

NAMEs are those of single pictures, for which only what they show needs to be there.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from imbtui.paths import RunsPaths
from imbtui.tui.app import ImbtuiApp
from imbtui.tui.widgets.runs_table import RunsTable

HERE = Path(__file__).absolute().parent
PATIENCE = 60.0  # seconds


@dataclass(frozen=True)
class Shot:
    """One picture.

    Attributes:
        name: the file's.
        keys: what is pressed from home.
        ready: a text that is there when all of it is.
        then: what is pressed after that.
        of: study, arm and state of the run that the cursor stands on first; empty: the newest run.
        size: cells.
        theme: its colours.
    """

    name: str
    keys: tuple[str, ...]
    ready: str
    of: tuple[str, ...] = ()
    size: tuple[int, int] = (120, 34)
    theme: str = "imbtui-dark"
    then: tuple[str, ...] = ()


LDAM = ("quickstart", "LDAM-DRW", "finished")
GOING = ("quickstart", "CE", "running")
ESTIMATED = ("patrini2017/quick", "forward, estimated T", "finished")
OBJECTIVE = ("kornblith2021/quick", "squared error", "finished")
SHOTS = (
    Shot("runs", (), "⠤⠤⠤⠤ test", LDAM, size=(120, 40)),
    Shot("groups", ("v", "enter"), "seed 2", LDAM, size=(120, 40)),
    Shot("curves", ("enter", *["left"] * 30), "epoch", LDAM),
    Shot("classes", ("enter", "2"), "trained on", LDAM),
    Shot("confusion", ("enter", "2", "v"), "confusion, per cent", LDAM, theme="imbtui-light"),
    Shot("recipe", ("enter", "3", "v"), "LDAM-DRW", LDAM),
    Shot("log", ("enter", "4", "slash", *"0.99"), "Esc ends", ESTIMATED),
    Shot("system", ("enter", "5"), "memory of the process", GOING),
    Shot("probes", ("enter", "6", *["down"] * 11), "linear CKA", OBJECTIVE, then=("down",)),
    Shot("compare", ("c",), "p = ", LDAM),
    Shot("queue", ("Q", "down"), "LDAM-DRW"),
    Shot("papers", ("P", "down", "down"), "Label-Distribution"),
    Shot("paper", ("P", "down", "down", "enter"), "paired t test", size=(150, 44), then=("home",)),
    Shot("new-run", ("n", *"cao"), "claims, in"),
    Shot(
        "form",
        ("n", *"quickstart", "enter", "down", "down", *"20", "enter"),
        "by earlier runs",
        size=(150, 34),
    ),
)


def text_of(app: ImbtuiApp) -> str:
    strips = app.screen._compositor.render_inline(app.screen.size, app._background_screens).strips
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


async def take(runs: RunsPaths, shot: Shot) -> None:
    """Write one picture."""
    runs.view.unlink(missing_ok=True)
    app = ImbtuiApp(runs)
    async with app.run_test(size=shot.size) as pilot:
        deadline = time.monotonic() + PATIENCE
        while not app.live.listed:
            await pilot.pause(0.05)
        app.theme = shot.theme
        if shot.of:
            meant = (r["id"] for r in app.live.rows if (r["study"], r["arm"], r["state"]) == shot.of)
            app.screen.query_one(RunsTable).select(next(meant))
        for key in shot.keys:
            await pilot.press(key)
            await pilot.pause(0.2)
        while shot.ready not in (text := text_of(app)) or "reading" in text or app.live.machine is None:
            if time.monotonic() > deadline:
                raise SystemExit(f'{shot.name}: "{shot.ready}" did not show\n{text}')
            await pilot.pause(0.05)
        await pilot.press(*shot.then)
        await pilot.pause(2.0)
        (HERE / f"{shot.name}.svg").write_text(app.export_screenshot(title="imbtui"), encoding="utf-8")


def main() -> None:
    runs = RunsPaths(Path(sys.argv[1]).absolute())
    os.chdir(runs.root.parent)  # so that the pictures name no folder of this machine
    for shot in SHOTS:
        if shot.name in (sys.argv[2:] or [one.name for one in SHOTS]):
            asyncio.run(take(runs, shot))
            print(HERE / f"{shot.name}.svg")


if __name__ == "__main__":
    main()
