"""What opening the dashboard costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from imbtui.cli import entry
from imbtui.paths import RunsPaths

HEAVY = (
    "torch",
    "torchvision",
    "accelerate",
    "numpy",
    "scipy",
    "sklearn",
    "pandas",
    "matplotlib",
    "pydantic",
    "tinydb",
    "orjson",
)

SCRIPT = """
import asyncio, json, sys
from pathlib import Path
from imbtui.paths import RunsPaths
from imbtui.tui.app import ImbtuiApp

class First(ImbtuiApp):
    painted = None
    def _display(self, screen, renderable):
        super()._display(screen, renderable)
        if self.painted is None:
            self.painted = sorted(sys.modules)

async def main():
    app = First(RunsPaths(Path(sys.argv[1])))
    app.live.start = lambda: None  # the poller's thread imports what it needs, beside the first frame
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        print(json.dumps(app.painted))

asyncio.run(main())
"""


def test_nothing_heavy_is_imported_before_the_first_frame(gallery: RunsPaths) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(gallery.root)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    modules = set(json.loads(done.stdout))
    assert "textual.app" in modules and "imbtui.tui.screens.runs" in modules
    assert not modules & set(HEAVY)
    assert "imbtui.tui.screens.form" not in modules  # other screens wait until they are opened


def test_listing_and_opening_runs_needs_no_recipe_machinery(gallery: RunsPaths) -> None:
    script = "".join(line for line in SCRIPT.splitlines(keepends=True) if "live.start" not in line)
    script = script.replace(
        "        await pilot.pause()\n        print(json.dumps(app.painted))",
        """        while not app.live.listed: await pilot.pause(0.02)
        await pilot.press("down", "enter")
        while not app.live.curves: await pilot.pause(0.02)
        print(json.dumps(sorted(sys.modules)))""",
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(gallery.root)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    modules = set(json.loads(done.stdout))
    assert not modules & {
        "torch",
        "accelerate",
        "scipy",
        "sklearn",
        "pandas",
        "matplotlib",
        "pydantic",
        "numpy",
    }


@pytest.mark.parametrize("arguments", [(), ("--runs", "{}"), ("--runs={}",)])
def test_the_bare_command_opens_the_dashboard_without_the_other_commands(
    runs: RunsPaths, arguments: tuple[str, ...]
) -> None:
    script = """
import json, sys
import imbtui.tui.app
imbtui.tui.app.run = lambda runs: print(json.dumps([str(runs.root), *sys.modules]))
from imbtui.__main__ import main
main()
"""
    given = [argument.format(runs.root) for argument in arguments]
    place = {"IMBTUI_RUNS": "elsewhere", "TEXTUAL_DRIVER": "as in a browser, where no terminal is asked for"}
    done = subprocess.run(
        [sys.executable, "-c", script, *given],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env=os.environ | place,
    )
    root, *modules = json.loads(done.stdout)
    assert root == (str(runs.root) if given else "elsewhere")
    assert "typer" not in modules and "imbtui.cli.run" not in modules


@pytest.mark.parametrize(
    "arguments", [["ls"], ["--help"], ["--runs", "--help"], ["--runs"], ["--runs="], ["--runs", "a", "ls"]]
)
def test_everything_else_is_left_to_the_other_commands(arguments: list[str]) -> None:
    assert not entry.is_bare(arguments)
