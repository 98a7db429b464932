"""Probes that follow every step, or tell what one step changed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from imbtui import folders
from imbtui.metrics import read_rows, series
from imbtui.paths import RunPaths

MakeRuns = Callable[..., list[RunPaths]]
Train = Callable[..., dict[str, Any]]

TOML = """
title = "followed"
split_seed = 0
[dataset]
name = "modular"
p = 7
train_fraction = 0.7
tokens = "pair"
[model]
name = "token_mlp"
embedding = 8
hidden = [16]
[optimizer]
name = "adamw"
lr = 1e-2
[schedule]
warmup = "2it"
[train]
steps = 40
batch_size = "all"
evaluate_every = "10it"
threads = 1
[[probes]]
name = "slingshots"
every = "10it"
"""


def measured(run: RunPaths, probe: str) -> list[dict[str, Any]]:
    rows = read_rows(run.metrics)[0]
    return [{k: v for k, v in row.items() if k.startswith(probe)} for row in rows if f"{probe}/norm" in row]


def test_extremes_are_those_of_all_steps_since_the_last_record(make_runs: MakeRuns, train: Train) -> None:
    (run,), (each,) = make_runs(toml=TOML), make_runs("probes.slingshots.every='1it'", toml=TOML)
    assert train(run)["state"] == train(each)["state"] == "finished"
    norms, losses = (
        series(read_rows(each.metrics)[0], f"slingshots/{n}").values for n in ("norm", "loss_max")
    )
    assert len(norms) == 40 and len(set(norms)) > 30
    found = measured(run, "slingshots")
    assert len(found) == 4
    for part, row in enumerate(found):
        own = slice(10 * part, 10 * part + 10)
        assert row["slingshots/norm"] == norms[own][-1]
        assert (row["slingshots/norm_min"], row["slingshots/norm_max"]) == (min(norms[own]), max(norms[own]))
        assert (row["slingshots/loss_min"], row["slingshots/loss_max"]) == (
            min(losses[own]),
            max(losses[own]),
        )


def test_stopped_and_resumed_they_are_the_same(make_runs: MakeRuns, train: Train) -> None:
    class Countdown(list):  # type: ignore[type-arg]
        left = 16

        def __bool__(self) -> bool:
            self.left -= 1
            return self.left == 0

    (undisturbed,), (run,) = make_runs(toml=TOML), make_runs(toml=TOML)
    train(undisturbed)
    assert train(run, stop_flag=Countdown())["state"] == "stopped"
    folders.update_submit(run, attempt=2)
    assert train(run)["state"] == "finished"
    assert measured(run, "slingshots") == measured(undisturbed, "slingshots")


def test_the_end_of_a_stage_says_what_its_rows_say(make_runs: MakeRuns, train: Train) -> None:
    (run,) = make_runs("train.steps=300", "probes.grokking=true", toml=TOML)
    metrics = train(run)["metrics"]
    accuracy = series(read_rows(run.metrics)[0], "train/accuracy")
    assert metrics["slingshots/t100"] == accuracy.steps[accuracy.values.index(1.0)]
    assert metrics["slingshots/spikes"] == len(metrics["slingshots/spike_steps"])
    assert (metrics["grokking/grokked"], metrics["grokking/step"]) == (0, None)


def test_spikes_between_evaluations_are_found_in_the_steps(make_runs: MakeRuns, train: Train) -> None:
    """Rows of a stage with one spike that lies between two evaluations."""
    from imbtui.probes.slingshots import Slingshots

    rows: list[dict[str, Any]] = []
    for n, (loss, largest) in enumerate([(1e-2, 1.0), (1e-4, 1e-2), (1e-6, 1e-4), (1e-6, 0.5), (1e-7, 1e-6)]):
        at = {"stage": "train", "step": 100 * n, "epoch": n}
        rows.append(at | {"slingshots/norm": 2.0 + n, "slingshots/loss_max": largest})
        rows.append(at | {"train/loss": loss, "train/accuracy": 1.0})
    none = Slingshots().conclude(rows)
    assert none["spikes"] == 0
    assert math.isnan(none["first"])
    found = Slingshots(spikes_in="steps").conclude(rows)
    assert (found["spike_steps"], found["count"], found["first"]) == ([300], 1, 300)


def test_a_step_of_no_length_changes_nothing(make_runs: MakeRuns, train: Train) -> None:
    """Warm-up starts at a learning rate of 0."""
    probes = [f"probes.{n}.every='1it'" for n in ("update_sharpness", "feature_change", "distance_from_init")]
    (run,) = make_runs("train.steps=3", *probes, toml=TOML)
    assert train(run)["state"] == "finished"
    rows = read_rows(run.metrics)[0]
    sharpness, turned, changed = (
        series(rows, name).values
        for name in ("update_sharpness/sharpness", "distance_from_init/classifier", "feature_change/body.0")
    )
    assert math.isnan(sharpness[0]) and all(map(math.isfinite, sharpness[1:]))
    assert turned[0] == pytest.approx(0, abs=1e-12) and 0 < turned[1] < turned[2]
    assert changed[0] == 0 and min(changed[1:]) > 0
    layers = {key for row in rows for key in row if key.startswith("feature_change/")}
    assert layers == {f"feature_change/{name}" for name in ("embedding", "body.0", "head")}


def test_looking_on_changes_nothing(make_runs: MakeRuns, train: Train) -> None:
    probes = [f"probes.{n}.every='1it'" for n in ("update_sharpness", "feature_change", "distance_from_init")]
    (alone,), (watched,) = make_runs(toml=TOML), make_runs(*probes, toml=TOML)
    assert train(watched)["metrics"].items() >= train(alone)["metrics"].items()
