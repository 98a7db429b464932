"""Text that would paint the terminal, odd folders, huge logs, values of the wrong kind: shown or left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from imbtui import files, folders
from imbtui.paths import RunPaths, RunsPaths
from imbtui.tui.screens.run import Run

HOSTILE = "\x1b[31mred\x1b]0;title\x07[bold]x[/bold]\x9b2J\r\n[/]🙂"
RUN = "aaaaaa-hostile-s0"


def harmless(text: str) -> bool:
    """Whether what stands on a screen is text and nothing that a terminal obeys."""
    return not [c for c in text if c < " " and c != "\n"] and "\x9b" not in text


def change(path: Path, **values: Any) -> None:
    files.write_json(path, {**json.loads(path.read_text()), **values}, durable=False)


@pytest.fixture
def hostile(runs: RunsPaths, make_run: Any) -> RunPaths:
    """A failed run whose every text is hostile, with a log of 100 MB and a torn row, among odd folders."""
    run: RunPaths = make_run(RUN, "failed", study=HOSTILE, arm=HOSTILE, reason=HOSTILE, minutes_ago=-1)
    change(run.submit, title=HOSTILE, overrides=[HOSTILE], point={HOSTILE: HOSTILE})
    change(run.env, device=HOSTILE, stages=[HOSTILE])
    folders.write_notes(run, tags=["[red]tag"], note=HOSTILE)
    with open(run.metrics, "ab") as rows:
        row = {"stage": HOSTILE, "step": 900, "epoch": 100, "time": 9, f"test/{HOSTILE}": 0.5, "test/loss": 1}
        rows.write(json.dumps(row).encode() + b'\n{"stage": "train", "st')
    with open(run.log, "wb") as log:
        log.truncate(100 << 20)  # a hole: 100 MB of zeros
        log.seek(0, 2)
        log.write(b"\n" + HOSTILE.encode() + b"\xff\xfe\nthe end\n")
    for name in (b"odd\n\x1b[2Jname", b"bytes\xff\xfe", b"[red]"):
        (runs.root / name.decode("utf-8", "surrogateescape")).mkdir()
    return run


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_a_hostile_run_is_shown_and_never_obeyed(
    hostile: RunPaths, runs: RunsPaths, opened: Any, wait: Any, shown: Any, size: tuple[int, int]
) -> None:
    async with opened(runs, size) as (app, pilot):
        await wait(pilot, lambda: RUN[:6] in shown(pilot) and "damaged" in shown(pilot))
        for key in ("down", "down", "down", "down", "up", "home"):
            await pilot.press(key)
            assert harmless(shown(pilot)), shown(pilot)
        await pilot.press("enter")
        await wait(pilot, lambda: isinstance(app.screen, Run) and "failed" in shown(pilot))
        for key, seen in (
            ("1", "accuracy"),
            ("M", "bold"),
            ("2", "class"),
            ("3", "[dataset]"),
            ("4", "the end"),
        ):
            await pilot.press(key)
            await wait(pilot, lambda seen=seen: seen in shown(pilot))
            assert harmless(shown(pilot))
        assert "[bold]x[/bold]" in shown(pilot), "markup is text"


ODD = (None, -1, "\x1b[2Jx", [], {"a": [1]}, "9" * 5000)
LOOKED_AT = {
    "submit": ("title", "overrides", "point", "seed", "created", "order"),
    "state": ("at", "gpus", "state"),
    "env": ("steps", "steps_per_epoch", "class_counts", "device"),
    "metrics": ("stage", "step", "epoch", "time", "test/accuracy", "test/class_accuracy"),
}


@pytest.mark.parametrize(
    ("state", "every"),
    [
        ("running", 5),
        pytest.param("running", 1, marks=pytest.mark.slow),
        pytest.param("crashed", 1, marks=pytest.mark.slow),
    ],
)
async def test_values_of_the_wrong_kind_take_no_screen_down(
    runs: RunsPaths, make_run: Any, opened: Any, wait: Any, shown: Any, state: str, every: int
) -> None:
    made = []
    for name, keys in LOOKED_AT.items():
        for number, odd in enumerate(ODD):
            run: RunPaths = make_run(f"{name}{number}-odd-s0", state, minutes_ago=len(made), epochs=10)
            path = getattr(run, name)
            if name == "metrics":
                rows = [json.loads(line) for line in path.read_text().splitlines()]
                path.write_text("".join(json.dumps({**rows[0], key: odd}) + "\n" for key in keys))
            else:
                change(path, **dict.fromkeys(keys, odd))
            made.append(run.id)
    async with opened(runs) as (app, pilot):
        for _ in made:
            assert harmless(shown(pilot))
            await pilot.press("down")
        for run_id in made[::every]:
            app.open_run(run_id)
            await wait(pilot, lambda: isinstance(app.screen, Run))
            for key in "1234":
                await pilot.press(key)
                assert harmless(shown(pilot)), shown(pilot)
            await pilot.press("escape")


@pytest.mark.slow
async def test_a_metrics_file_of_200_mb_is_read_while_keys_work(
    gallery: RunsPaths, opened: Any, wait: Any, shown: Any
) -> None:
    metrics = gallery.run("fceaaa-ce-s0").metrics
    row = {"stage": "train", "epoch": 1, "time": 1.0, "test/class_accuracy": [0.5] * 150, "test/loss": 1.0}
    with metrics.open("a") as file:
        step = 1000
        while file.tell() < 200e6:
            step += 1
            file.write(json.dumps({**row, "step": step}) + "\n")
    async with opened(gallery) as (app, pilot):
        app.open_run("fceaaa-ce-s0")
        await wait(pilot, lambda: "reading a long metrics file" in shown(pilot))
        await pilot.press("3")
        await wait(pilot, lambda: "▌3 Recipe" in shown(pilot))
        assert "fceaaa-ce-s0" not in app.live.complete, "keys work while it is read"
        await wait(pilot, lambda: "reading a long metrics file" not in shown(pilot), patience=200)
        assert "fceaaa-ce-s0" in app.live.complete
