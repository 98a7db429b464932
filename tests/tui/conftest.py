"""Run folders as trainers leave them, made without training."""

from __future__ import annotations

import datetime
import json
import math
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from imbtui import files
from imbtui.paths import RunPaths, RunsPaths
from imbtui.processes import Identity
from imbtui.tui.app import ImbtuiApp

RECIPE = """
title = "Long-tailed digits: CE, DRW, LDAM-DRW"
paper = "cao2019"
seeds = [{seed}]
split_seed = "seed"

[dataset]
name = "digits"
validation = 0
protocol = "long_tail"

[[corruptions]]
name = "long_tail"
ratio = 100.0
n_max = 120

[model]
name = "mlp"
head = "cosine"
hidden = [128, 64]

[loss]
name = "{loss}"
start_epoch = 0
normalise = "weights"

[optimizer]
name = "sgd"
lr = 0.05

[train]
epochs = 80
batch_size = 64
"""

MakeRun = Callable[..., RunPaths]
Opened = Callable[..., AbstractAsyncContextManager[tuple[ImbtuiApp, Pilot[None]]]]

SMALL, LARGE = (80, 24), (200, 50)
PATIENCE = 20.0  # seconds; the machine may be busy


def rows_of(epochs: int, *, level: float = 0.7, every: int = 2) -> list[dict[str, Any]]:
    """Return metrics rows of a run that learns: smooth curves, the same each time."""
    rows = []
    for epoch in range(every, epochs + 1, every):
        grown = 1 - math.exp(-epoch / 18)
        wiggle = 0.012 * math.sin(epoch * 1.7)
        balanced = level * grown + wiggle
        row: dict[str, Any] = {"stage": "train", "step": 9 * epoch, "epoch": epoch, "time": 0.05 * epoch}
        for split, gain in (("test", 0.0), ("train", 0.18)):
            accuracy = min(0.999, balanced + gain * grown)
            row |= {
                f"{split}/loss": 2.3 * math.exp(-epoch / (22 if split == "test" else 14)) + 0.2 - gain,
                f"{split}/accuracy": accuracy,
                f"{split}/error": 1 - accuracy,
                f"{split}/balanced_accuracy": accuracy,
                f"{split}/many_accuracy": min(0.999, accuracy + 0.2),
                f"{split}/medium_accuracy": accuracy,
                f"{split}/few_accuracy": max(0.0, accuracy - 0.3),
                f"{split}/class_accuracy": [max(0.0, min(1.0, accuracy + 0.3 - 0.08 * c)) for c in range(10)],
                f"{split}/ece": 0.1 * wiggle + 0.05,
                f"{split}/nll": 1.2 - grown,
            }
        row["running/loss"] = row["train/loss"] + 0.05
        rows.append(row)
    return rows


def write_rows(run: RunPaths, rows: list[dict[str, Any]]) -> None:
    """Append rows as rank 0 does."""
    writer = files.LineWriter(run.metrics)
    for row in rows:
        writer.append(json.dumps(row).encode())
    writer.close()


@pytest.fixture
def make_run(runs: RunsPaths) -> MakeRun:
    """Create a run folder in any state. A running one belongs to the process of the test."""

    def make(
        run_id: str,
        state: str = "finished",
        *,
        arm: str | None = "LDAM-DRW",
        study: str = "quickstart",
        seed: int = 0,
        minutes_ago: float = 5.5,
        epochs: int | None = None,
        level: float = 0.7,
        reason: str = "",
        loss: str = "ldam",
        tags: list[str] | None = None,
        gpus: Any = "cpu",
    ) -> RunPaths:
        run = runs.run(run_id)
        run.root.mkdir(parents=True)
        run.ranks.mkdir()
        created = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=minutes_ago)
        run.recipe.write_text(RECIPE.format(seed=seed, loss=loss))
        files.write_json(
            run.submit,
            {
                "format": 1,
                "attempt": 1,
                "priority": 0,
                "order": int(created.timestamp() * 1e9),
                "created": created.isoformat(timespec="seconds"),
                "host": Identity.mine().host,
                "study": study,
                "variant": "0123abcd",
                "title": "Long-tailed digits: CE, DRW, LDAM-DRW",
                "paper": "cao2019",
                "arm": arm,
                "point": {},
                "seed": seed,
                "digest": f"{abs(hash((run_id, seed))):012x}"[:12],
                "knobs": {
                    "loss.name": loss,
                    "dataset.name": "digits",
                    "corruptions.long_tail.ratio": 100.0,
                    "model.name": "mlp",
                    "train.epochs": 80,
                },
                "source": "",
                "overrides": ["loss.name=ldam"],
                "gpus": gpus,
                "here": False,
            },
            durable=False,
        )
        done = {"finished": 80, "running": 50, "stopped": 30, "failed": 10}.get(state, 0)
        rows = rows_of(done if epochs is None else epochs, level=level)
        if state != "queued":
            files.write_json(
                run.env,
                {
                    "device": "cpu",
                    "steps_per_epoch": 9,
                    "steps": 720,
                    "class_counts": [120, 72, 43, 26, 15, 9, 6, 3, 2, 1],
                },
                durable=False,
            )
            write_rows(run, rows)
            run.log.write_text(
                "".join(f"epoch {row['epoch']}: loss {row['train/loss']:.3f}\n" for row in rows)
            )
        if state in ("running", "crashed"):
            me = Identity.mine().to_json()
            if state == "crashed":
                me["start_ticks"] += 1
            stamp = {"format": 1, "attempt": 1, "launch": "x", "at": created.isoformat()}
            files.write_json(run.state, {**stamp, "state": "running", "gpus": [], **me}, durable=False)
            files.write_json(run.rank(0), {**stamp, "rank": 0, **me}, durable=False)
        if state in ("finished", "stopped", "failed"):
            last = {k: v for k, v in (rows[-1] if rows else {}).items() if "/" in k}
            files.write_json(
                run.result,
                {
                    "attempt": 1,
                    "state": state,
                    "reason": reason,
                    "metrics": last,
                    "best": {},
                    "seconds": 12.4,
                    "steps": 720,
                    "epochs": 80,
                    "fit_epoch": None,
                },
                durable=False,
            )
        if tags:
            run.notes.write_text(f"tags = {json.dumps(tags)}\nnote = ''\n")
        return run

    return make


@pytest.fixture
def gallery(runs: RunsPaths, make_run: MakeRun) -> RunsPaths:
    """A runs folder with every state in it."""
    make_run("qdrwab-ldam-drw-s1", "queued", seed=1, minutes_ago=1.5)
    make_run("rldama-ldam-drw-s0", "running", seed=0, minutes_ago=1.6)
    make_run(
        "fdrwaa-drw-s0", "finished", arm="DRW", seed=0, minutes_ago=3.5, level=0.62, loss="cross_entropy"
    )
    make_run("fdrwab-drw-s1", "finished", arm="DRW", seed=1, minutes_ago=3.6, level=0.6, tags=["baseline"])
    make_run("fceaaa-ce-s0", "finished", arm="CE", seed=0, minutes_ago=4.5, level=0.55, loss="cross_entropy")
    make_run("sceaab-ce-s1", "stopped", arm="CE", seed=1, minutes_ago=4.6, level=0.55)
    make_run(
        "xceaac-ce-s2",
        "failed",
        arm="CE",
        seed=2,
        minutes_ago=65,
        reason="the loss became nan at step 91 (epoch 10); a smaller learning rate may help",
    )
    make_run("cldama-ldam-s0", "crashed", study="cao2019/quick", arm="LDAM", minutes_ago=150)
    for seed in range(6):
        make_run(
            f"old{'abcdef'[seed]}aa-rw-s{seed}",
            study="cao2019/fashion-mnist",
            arm="RW",
            seed=seed,
            minutes_ago=60 * 24 * 2 + seed + 0.5,
            level=0.7 + seed / 50,
        )
    return runs


@pytest.fixture
def rich(gallery: RunsPaths) -> RunsPaths:
    """Runs with all that a run may leave behind in the first finished one."""
    run = gallery.run("fdrwaa-drw-s0")
    run.artifacts.mkdir()
    confusion = [[40 if true == said else 1 for said in range(10)] for true in range(10)]
    files.write_json(
        run.artifacts / "confusion.json",
        {"rows": "true class", "columns": "predicted class", "matrices": {"test": confusion}},
    )
    mask = {"layer": {"dtype": "BOOL", "shape": [2, 4], "data_offsets": [0, 8]}}
    header = json.dumps(mask).encode()
    masks = struct.pack("<Q", len(header)) + header + bytes([1, 0, 0, 0, 1, 0, 0, 0])
    (run.artifacts / "masks-level-1.safetensors").write_bytes(masks)
    row = {"stage": "train", "step": 720, "epoch": 80, "time": 4.0, "lottery/density": 0.2}
    row |= {"cka/matrix": [[1.0, 0.5], [0.5, 1.0]], "norms/head_class": [3.0, 1.5]}
    row |= {"transition/large": [[(true + said) / 200 for said in range(100)] for true in range(100)]}
    before = {"stage": "train", "step": 711, "epoch": 79, "time": 3.9, "norms/scale": 2.0}
    write_rows(run, [before, row | {"norms/scale": 1.0}])
    rows = [{"step": n, "time": 2.0 * n, "process/cpu": 0.9, "machine/memory": 0.4} for n in range(1, 9)]
    run.system.write_text("".join(json.dumps(row) + "\n" for row in rows))
    log = [f"line {n}{' Loss spike' if n % 50 == 7 else ''}" for n in range(200)]
    log[100] += " that says more than fits into any terminal" * 8
    run.log.write_text("".join(f"{line}\n" for line in log))
    return gallery


@pytest.fixture
def waiting(runs: RunsPaths, make_run: Any, monkeypatch: pytest.MonkeyPatch) -> RunsPaths:
    """One run under way, four that wait in the order a, b, c, d; nobody starts them."""
    make_run("running-ce-s0", "running", arm="CE", seed=0, minutes_ago=9)
    for seed, letter in enumerate("abcd"):
        make_run(
            f"{letter}{letter}{letter}-ldam-s{seed}", "queued", arm="LDAM", seed=seed, minutes_ago=8 - seed
        )
    monkeypatch.setattr("imbtui.worker.lock.ensure", lambda runs: None)
    return runs


async def until(pilot: Pilot[None], condition: Callable[[], Any], *, patience: float = PATIENCE) -> None:
    """Let the app work until a condition holds."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"not reached:\n{screen_text(pilot)}"
        await pilot.pause(0.02)


def screen_text(pilot: Pilot[None]) -> str:
    """Return what stands on the screen."""
    app = pilot.app
    # Without the screens below, a dialog would be drawn on nothing, and Textual would keep that drawing.
    strips = app.screen._compositor.render_inline(app.screen.size, app._background_screens).strips
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


@pytest.fixture
def wait() -> Callable[..., Any]:
    """`await wait(pilot, condition)`."""
    return until


@pytest.fixture
def shown() -> Callable[[Pilot[None]], str]:
    """`shown(pilot)` is the text on the screen."""
    return screen_text


@pytest.fixture
def opened() -> Opened:
    """Open the dashboard over a runs folder, and wait until it shows the runs."""

    @asynccontextmanager
    async def opening(
        runs: RunsPaths, size: tuple[int, int] = SMALL
    ) -> AsyncIterator[tuple[ImbtuiApp, Pilot[None]]]:
        app = ImbtuiApp(runs)
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: app.live.listed)
            await pilot.pause()  # the screen shows what the app has listed
            yield app, pilot

    return opening


STUDY = """
title = "Long-tailed digits: CE against LDAM"
paper = "cao2019"
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
hidden = [16]
[[arms]]
label = "CE"
[[arms]]
label = "LDAM"
[arms.set]
"loss.name" = "ldam"
"model.head" = "cosine"
[[claims]]
says = "LDAM has a higher balanced accuracy than cross-entropy"
kind = "order"
metric = "test/balanced_accuracy"
arm = "LDAM"
above = "CE"
[[claims]]
says = "LDAM learns no faster"
kind = "bound"
metric = "test/balanced_accuracy"
arm = "LDAM"
below = 0.1
assert = false
[[reported]]
where = { arm = "LDAM" }
metric = "test/balanced_accuracy"
value = 0.77
source = "Table 1"
confidence = "memory"
"""


def finish(run: RunPaths, level: float) -> None:
    """Give a run the curve and the result that a trainer would have left."""
    rows = rows_of(80, level=level)
    write_rows(run, rows)
    files.write_json(run.env, {"device": "cpu", "steps_per_epoch": 9, "steps": 720}, durable=False)
    metrics = {k: v for k, v in rows[-1].items() if "/" in k}
    result = {"attempt": 1, "state": "finished", "reason": "", "metrics": metrics, "best": {}, "seconds": 9.0}
    files.write_json(run.result, result, durable=False)


@pytest.fixture
def study(make_runs: Callable[..., list[RunPaths]]) -> list[RunPaths]:
    """A submitted study of two arms x three seeds; all but its last run have finished."""
    folders = make_runs(toml=STUDY, name="mine")
    for run, level in zip(folders, (0.52, 0.6, 0.66, 0.66, 0.76), strict=False):
        finish(run, level)
    return folders


@pytest.fixture
def finish_run() -> Callable[[RunPaths, float], None]:
    """`finish_run(run, level)` lets a run end with a curve that ends near a level."""
    return finish


@pytest.fixture
def study_text() -> str:
    """The recipe of `study`."""
    return STUDY


SMALL_STUDY = """
title = "a small study"
paper = "cao2019"
seeds = [0, 1]
[dataset]
name = "digits"
protocol = "long_tail"
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
"model.head" = "cosine"
[[claims]]
says = "LDAM is better"
kind = "order"
metric = "test/balanced_accuracy"
arm = "LDAM"
above = "CE"
"""


@pytest.fixture
def recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a recipe of its own, as the current one."""
    folder = tmp_path / "work"
    (folder / "recipes").mkdir(parents=True)
    (folder / "recipes" / "mine.toml").write_text(SMALL_STUDY)
    (folder / "recipes" / "broken.toml").write_text("title = ")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Recipes of one paper only, so that a look costs little."""
    folder = tmp_path / "library"
    (folder / "cao2019").mkdir(parents=True)
    monkeypatch.setattr("imbtui.recipe.library.packaged", lambda: folder)
    monkeypatch.chdir(tmp_path)
    return folder
