"""Run folders as an accident or an enemy leaves them: shown safely by every command, and by the dashboard."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from imbtui import doctor, documents, files, folders, index, shapes, store, where
from imbtui.cli.app import main
from imbtui.launch import Order, local
from imbtui.launch.local import Local
from imbtui.paths import RunPaths, RunsPaths
from imbtui.processes import Identity
from imbtui.worker import lock
from imbtui.worker.tick import Options, Worker

MakeRuns = Callable[..., list[RunPaths]]

ODD: tuple[Any, ...] = (None, True, -1, 1e400, "\x1b[2Jx", [], [1, "a", None], {}, {"a": [1]}, "9" * 5000)
DOCUMENTS = ("submit.json", "result.json", "state.json", "env.json", "ranks/0.json")


@pytest.fixture
def finished(runs: RunsPaths, make_runs: MakeRuns) -> RunPaths:
    """A run with every file that a run can have."""
    (run,) = make_runs()
    metrics = {"test/accuracy": 0.5, "test/balanced_accuracy": 0.4, "test/class_accuracy": [0.1, 0.9]}
    row = {"stage": "train", "step": 6, "epoch": 3, "time": 1.5, **metrics}
    run.metrics.write_text(json.dumps(row) + "\n")
    best = {**metrics, "selected_on": "val/balanced_accuracy", "stage": "train", "step": 6, "epoch": 3}
    result = {"attempt": 1, "state": "finished", "reason": "", "metrics": metrics, "best": best}
    files.write_json(run.result, {**result, "seconds": 1.5, "steps": 6, "epochs": 3, "fit_epoch": 2})
    state = {"format": 1, "state": "ended", "attempt": 1, "launch": "x", "gpus": [0], "how": "finished"}
    files.write_json(run.state, {**state, "reason": "", "at": folders.now(), "gpu_memory": 5})
    files.write_json(
        run.rank(0), {"attempt": 1, "rank": 0, "host": "h", "boot_id": "", "pid": 1, "start_ticks": 1}
    )
    env = {"device": "cpu", "steps": 6, "steps_per_epoch": 2, "stages": ["train"], "class_counts": [5, 1]}
    files.write_json(run.env, {**env, "git_commit": "0" * 40, "git_dirty": True, "versions": {"torch": "2"}})
    folders.write_notes(run, tags=["a"], note="b")
    return run


def damaged(runs: RunsPaths, run: RunPaths) -> list[str]:
    """Copy the run many times, each with one value of one of its documents replaced by an odd one."""
    made = []

    def copy() -> RunPaths:
        new = runs.run(f"copy{len(made):04d}")
        shutil.copytree(run.root, new.root)
        made.append(new.id)
        return new

    for name in DOCUMENTS:
        document = json.loads((run.root / name).read_text())
        for key, odd in itertools.product(document, ODD):
            (copy().root / name).write_text(json.dumps({**document, key: odd}))
        for odd in ODD:
            (copy().root / name).write_text(json.dumps(odd))
    for line in ('tags = 5\nnote = ["x"]', "tags = [5, {a = 1}]", "tags = 'ab'", "\x00", "note = 1979-05-27"):
        copy().notes.write_text(line)
    tables = run.recipe.read_text()
    for line in (
        "loss = 5",
        "train = []",
        "dataset = 'x'\nmethods = 3\n[[corruptions]]\nname = 5",
        "title = 5",
    ):
        copy().recipe.write_text(line)
    copy().recipe.write_text(tables.replace("seeds = [0]", "seeds = 0"))
    row = json.loads(run.metrics.read_text())
    for key, odd in itertools.product(row, ODD):
        copy().metrics.write_text(json.dumps({**row, key: odd}) + "\n")
    return made


def test_a_worker_lives_among_folders_that_mean_harm(
    runs: RunsPaths, finished: RunPaths, make_runs: MakeRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It starts what is sound and nothing else, and deletes nothing outside the runs folder."""
    made = damaged(runs, finished)
    (sound,) = make_runs("split_seed=1")
    submit = files.read_json(sound.submit)
    for number, (key, odd) in enumerate(itertools.product(shapes.SUBMIT, ODD)):
        waiting = runs.run(f"waiting{number:03d}")
        shutil.copytree(sound.root, waiting.root)
        if not shapes.SUBMIT[key](odd):
            (waiting.root / "submit.json").write_text(json.dumps({**submit, key: odd}))
        else:
            waiting.submit.unlink()
    outside = runs.root.parent / "outside.log"
    outside.touch()
    escapes = runs.run("escapes")
    shutil.copytree(finished.root, escapes.root)
    escapes.result.unlink()
    state = {"state": "running", "attempt": 1, "launch": "../../outside", "log": "x"}
    files.write_json(escapes.state, state)
    started: list[str] = []

    class Nowhere(Local):
        def start(self, order: Order) -> Identity:
            started.extend(folder.name for folder in order.folders)
            return replace(Identity.mine(), start_ticks=1)

    monkeypatch.setattr(local, "SPAWN_PATIENCE", 0.0)
    lock.ring(runs)
    work = Worker(runs, Options(executor=Nowhere(), gpus=list))
    for _ in range(4):
        work.tick()
    assert outside.exists()
    assert set(started) == {sound.id}
    assert len(store.list_ids(runs)) == len(made) + number + 4


def safely(text: str) -> bool:
    """Whether a terminal shows this and obeys nothing in it."""
    return not [c for c in text if ord(c) < 32 and c != "\n"] and "Traceback" not in text


@pytest.mark.parametrize("every", [23, pytest.param(1, marks=pytest.mark.slow)])
def test_no_value_in_a_run_folder_takes_a_command_down(
    runs: RunsPaths,
    finished: RunPaths,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    every: int,
) -> None:
    monkeypatch.setattr(doctor, "_torch", lambda: doctor.Check("torch", True, "not asked"))
    monkeypatch.setenv("IMBTUI_RUNS", str(runs.root))
    made = damaged(runs, finished)
    for run_id in made:
        view = store.read(runs.run(run_id))
        assert view.state in where.STATES
        documents.dumps(documents.whole(view))
        assert 0 <= view.progress.share <= 1
        index.row_of(view)
    assert len(index.query(runs)) == len(made) + 1
    everything: list[tuple[str, ...]] = [
        ("ls", "--all"),
        ("ls", "--all", "--columns", "id,title,arm,tags,note,reason,seconds,loss.name,test/accuracy"),
        ("ls", "--all", "--sort", "test/accuracy"),
        ("ls", "--where", "seed > 1 or loss.name == x or test/accuracy > 0.1 or tag == a"),
        ("ls", "--json"),
        ("queue",),
        ("verdict", "--all"),
        ("papers",),
        ("doctor",),
        ("compare", *made[:100]),
        *(("show", run_id) for run_id in made[::every]),
        *(("plot", run_id, "-m", "test/accuracy") for run_id in made[:: 2 * every]),
    ]
    for command in everything:
        capfd.readouterr()
        assert main(command) in (0, 2), command
        assert all(map(safely, capfd.readouterr())), command
