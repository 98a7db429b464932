"""Probes that conclude from the rows of a whole stage, and the density of a network."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from imbtui import folders
from imbtui.metrics import pick, reach, read_rows
from imbtui.paths import RunPaths

MakeRuns = Callable[..., list[RunPaths]]
Train = Callable[..., dict[str, Any]]

TOML = """
title = "rows of a stage"
[dataset]
name = "digits"
n_train = 300
n_val = 100
[model]
name = "lenet_300_100"
hidden = [20, 10]
[optimizer]
name = "adam"
lr = 1e-2
[train]
steps = 40
batch_size = 60
evaluate_every = "5it"
threads = 1
[[probes]]
name = "early_stop"
[[probes]]
name = "steps_to_accuracy"
accuracy = 0.5
[[probes]]
name = "density"
every = "20it"
"""
TICKETS = "methods.lottery={name = 'lottery', rounds = 2, rate = 0.5}"


def concluded(run: RunPaths, stage: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    rows = [row for row in read_rows(run.metrics)[0] if row["stage"] == stage]
    said = {k: v for row in rows for k, v in row.items() if k.startswith(("early_stop/", "steps_to"))}
    return rows, said


def test_they_say_of_every_stage_what_its_rows_say(make_runs: MakeRuns, train: Train) -> None:
    (run,) = make_runs(TICKETS, toml=TOML)
    result = train(run)
    assert result["state"] == "finished", result["reason"]
    for stage, density in (("level-0", 1.0), ("level-1", 0.5), ("level-2", 0.25)):
        rows, said = concluded(run, stage)
        assert said["early_stop/step"] == pick(rows, "step", "argmin:val/loss")
        assert said["early_stop/loss"] == pick(rows, "val/loss", "min")
        assert said["early_stop/accuracy"] == pick(rows, "test/accuracy", "argmin:val/loss")
        assert said["steps_to_accuracy/steps"] == reach(rows, "test/accuracy", ">= 0.5", stage)
        assert said["steps_to_accuracy/reached"] == 1
        (row,) = (row for row in rows if "steps_to_accuracy/steps" in row)
        assert row["step"] == 40, "it is said at the end"
        assert pick(rows, "density/weights") == pytest.approx(density, abs=0.001)
        assert pick(rows, "density/remaining") == pick(rows, "lottery/remaining")
        assert pick(rows, "density/weight/body.1") == pytest.approx(density, abs=0.001)


def test_an_accuracy_that_is_never_reached_takes_the_whole_stage(make_runs: MakeRuns, train: Train) -> None:
    (run,) = make_runs("probes.steps_to_accuracy.accuracy=1.0", "train.steps=5", toml=TOML)
    metrics = train(run)["metrics"]
    assert (metrics["steps_to_accuracy/steps"], metrics["steps_to_accuracy/reached"]) == (5, 0)


def test_stopped_and_resumed_they_say_the_same(make_runs: MakeRuns, train: Train) -> None:
    class Countdown(list):  # type: ignore[type-arg]
        left = 60

        def __bool__(self) -> bool:
            self.left -= 1
            return self.left == 0

    (undisturbed,), (run,) = make_runs(TICKETS, toml=TOML), make_runs(TICKETS, toml=TOML)
    train(undisturbed)
    assert train(run, stop_flag=Countdown())["state"] == "stopped"
    folders.update_submit(run, attempt=2)
    assert train(run)["state"] == "finished"
    for stage in ("level-0", "level-1", "level-2"):
        assert concluded(run, stage)[1] == concluded(undisturbed, stage)[1]
    rows = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    assert sum("early_stop/step" in row for row in rows) == 3, "each stage says it once"


def test_early_stopping_needs_its_split(make_runs: MakeRuns, train: Train) -> None:
    (run,) = make_runs("dataset.n_val=0", toml=TOML)
    result = train(run)
    assert result["state"] == "failed"
    assert result["reason"].startswith('probes.early_stop.split: the run has no examples "val"')
