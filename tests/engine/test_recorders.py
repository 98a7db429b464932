"""What a run records beside its metrics: confusion matrices, and how busy the machine was."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch

from imbtui import files, folders
from imbtui.engine import confusion
from imbtui.engine.system import SystemLog
from imbtui.engine.tick import Tick
from imbtui.paths import RunPaths

MakeRuns = Callable[..., list[RunPaths]]
Train = Callable[..., dict[str, Any]]


def test_the_last_confusion_matrix_is_kept_and_agrees_with_the_metrics(
    make_runs: MakeRuns, train: Train
) -> None:
    (run,) = make_runs()
    result = train(run)
    kept = json.loads((run.artifacts / confusion.FILE).read_text())
    assert (kept["stage"], kept["epoch"]) == ("train", 3)
    matrix = torch.tensor(kept["matrices"]["test"], dtype=torch.float64)
    assert matrix.shape == (10, 10) and matrix.sum() == 500  # 50 test examples a class
    assert (matrix.diagonal() / matrix.sum(1)).tolist() == pytest.approx(
        result["metrics"]["test/class_accuracy"]
    )


def test_system_rows_go_on_where_an_earlier_attempt_ended(make_runs: MakeRuns, train: Train) -> None:
    (run,) = make_runs("train.epochs=1")
    train(run)
    first = [json.loads(line) for line in run.system.read_text().splitlines()]
    assert first and all(0 <= row["machine/memory"] <= 1 and row["process/memory"] > 0 for row in first)
    folders.update_submit(run, attempt=2)
    train(run)
    times = [json.loads(line)["time"] for line in run.system.read_text().splitlines()]
    assert len(times) > len(first) and times == sorted(times)


def test_matrices_are_written_seldom_and_the_newest_never_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    log = confusion.ConfusionLog()
    ticks = [Tick("train", step, 10, 100) for step in range(3)]
    assert log.take(ticks[0], {"test": torch.eye(2, dtype=torch.int64)}) is not None
    assert log.take(ticks[1], {"test": torch.eye(2, dtype=torch.int64)}) is None
    assert log.take(ticks[2], {"test": 5 * torch.eye(2, dtype=torch.int64)}) is None
    rest = json.loads(log.rest() or b"")
    assert (rest["step"], rest["matrices"]["test"]) == (3, [[5, 0], [0, 5]])
    assert log.rest() is None
    assert log.take(ticks[0], {"test": torch.zeros(300, 300)}) is None and log.rest() is None


def test_a_sample_costs_less_than_a_thousandth_of_its_interval(make_runs: MakeRuns) -> None:
    (run,) = make_runs()
    log = SystemLog(run, cuda=False)
    began = time.thread_time()
    for _ in range(50):
        log._sample()
    assert (time.thread_time() - began) / 50 < 0.5e-3


def test_a_file_that_cannot_be_written_costs_the_rows_only(
    make_runs: MakeRuns, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run,) = make_runs("train.epochs=1")
    run.system.mkdir()  # opening it fails
    assert train(run)["state"] == "finished"
    assert files.read_json(run.result)["state"] == "finished"
