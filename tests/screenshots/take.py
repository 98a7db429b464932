"""The pictures of the README, from real runs: `python tests/screenshots/take.py RUNS`.

RUNS is a runs folder in which the quick start has run: `imbtui run quickstart --runs RUNS`. The queue is
empty then; its picture is taken by name, after

    imbtui queue pause --runs RUNS
    imbtui run quickstart --set train.epochs=200 --detach --runs RUNS
    python tests/screenshots/take.py RUNS queue
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

from imbtui.paths import RunsPaths
from imbtui.tui.app import ImbtuiApp

HERE = Path(__file__).absolute().parent
SIZE = (116, 32)
PATIENCE = 60.0  # seconds

# Name of the picture, keys to press from home, and a text that shows when it is ready.
SHOTS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("runs", ("down", "i"), "⠤⠤⠤⠤ test"),
    ("groups", ("v", "down", "enter", "i"), "seed 2"),
    ("curves", ("enter", "left", *["left"] * 20), "epoch"),
    ("classes", ("enter", "2", "v"), "confusion, per cent"),
    ("system", ("enter", "5"), "memory of the process"),
    ("recipe", ("enter", "3", "v"), "LDAM-DRW"),
    ("compare", ("c",), "p = "),
    ("queue", ("Q", "down"), "LDAM-DRW"),
    ("papers", ("P",), "frankle2019"),
    ("new-run", ("n",), "9 runs"),
    ("form", ("n", *"quickstart", "enter"), "9 runs: 3 arms"),
)


def text_of(app: ImbtuiApp) -> str:
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


async def take(runs: RunsPaths, name: str, keys: tuple[str, ...], ready: str) -> None:
    """Write one picture."""
    runs.view.unlink(missing_ok=True)
    app = ImbtuiApp(runs)
    async with app.run_test(size=SIZE) as pilot:
        deadline = time.monotonic() + PATIENCE
        while not app.live.listed:
            await pilot.pause(0.05)
        for key in keys:
            await pilot.press(key)
            await pilot.pause(0.2)
        while ready not in text_of(app):
            if time.monotonic() > deadline:
                raise SystemExit(f'{name}: "{ready}" did not show\n{text_of(app)}')
            await pilot.pause(0.05)
        await pilot.pause(0.5)
        (HERE / f"{name}.svg").write_text(app.export_screenshot(title="imbtui"), encoding="utf-8")


def main() -> None:
    runs = RunsPaths(Path(sys.argv[1]).absolute())
    os.chdir(runs.root.parent)  # so that the pictures name no folder of this machine
    wanted = sys.argv[2:] or [name for name, _, _ in SHOTS if name != "queue"]
    for name, keys, ready in SHOTS:
        if name not in wanted:
            continue
        asyncio.run(take(runs, name, keys, ready))
        print(HERE / f"{name}.svg")


if __name__ == "__main__":
    main()
