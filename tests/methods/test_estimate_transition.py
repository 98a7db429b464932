"""Estimating the transition matrix as a run does it: two stages, the matrix between them, restarts."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from imbtui import folders
from imbtui.numerics.transition import row_l1_error
from imbtui.paths import RunPaths

MakeRuns = Callable[..., list[RunPaths]]
Train = Callable[..., dict[str, Any]]

TOML = """
title = "estimate and correct"
[dataset]
name = "digits"
protocol = "stratified"
validation = 137
corrupt_validation = true
[[corruptions]]
name = "label_noise"
kind = "asymmetric"
classes = "mnist"
rate = 0.4
[model]
name = "mlp"
hidden = [32]
[loss]
name = "forward_correction"
transition = "estimated"
[[methods]]
name = "estimate_transition"
[optimizer]
name = "adagrad"
lr = 0.02
[train]
epochs = 3
batch_size = 100
select_on = "val/loss"
threads = 1
"""


def rows_of(run: RunPaths) -> list[dict[str, Any]]:
    """Return the rows of evaluations and estimates without times and running means, which stops cut."""
    rows = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    kept = [row for row in rows if "test/loss" in row or "estimate_transition/matrix" in row]
    return [{k: v for k, v in row.items() if k not in ("time", "running/loss")} for row in kept]


def evaluations(run: RunPaths, stage: str) -> list[dict[str, Any]]:
    found = [row for row in rows_of(run) if "test/accuracy" in row and row["stage"] == stage]
    return [{k: v for k, v in row.items() if k not in ("stage", "time")} for row in found]


def end_of(run: RunPaths, stage: str) -> dict[str, torch.Tensor]:
    return torch.load(run.checkpoints / f"stage-{stage}.pt", weights_only=True)["objective"]


def test_two_stages_with_the_matrix_between_them(make_runs: MakeRuns, train: Train) -> None:
    """patrini2017 §4."""
    (run,) = make_runs(toml=TOML)
    result = train(run)
    assert result["state"] == "finished", result["reason"]
    assert json.loads(run.env.read_text())["stages"] == ["estimate", "corrected"]
    kept = json.loads((run.artifacts / "transition.json").read_text())
    estimate, true = np.array(kept["estimated"]), np.array(kept["true"])
    np.testing.assert_allclose(estimate.sum(1), 1)
    assert true[7].tolist() == [0, 0.4, 0, 0, 0, 0, 0, 0.6, 0, 0]
    assert result["metrics"]["estimate_transition/error"] == row_l1_error(estimate, true)
    assert result["metrics"]["estimate_transition/matrix"] == kept["estimated"]
    assert len(kept["anchors"]) == 10
    command = [sys.executable, "-m", "imbtui", "show", run.root.name, "--runs", str(run.root.parent)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    row = " ".join(["7", *(f"{value:.3f}" for value in estimate[7])])
    assert row in [" ".join(line.split()) for line in shown.splitlines()]
    used = end_of(run, "corrected")["loss.transition"]
    np.testing.assert_array_equal(used.numpy(), estimate)
    # Labels are told with the matrix that they were drawn from, and how often each flip came out.
    with np.load(run.artifacts / "training_labels.npz") as stored:
        np.testing.assert_array_equal(stored["transition"], true)
        counts = stored["label_counts"]
        assert counts.sum() == 1300
        assert (counts[7, 1] > 0) and counts[7, [0, 2, 3, 4, 5, 6, 8, 9]].sum() == 0


def test_the_first_stage_is_cross_entropy_and_the_second_starts_anew(
    make_runs: MakeRuns, train: Train
) -> None:
    (run,) = make_runs(toml=TOML)
    (plain,) = make_runs("loss.name=cross_entropy", "methods.estimate_transition=false", toml=TOML)
    matrix = train(run)["metrics"]["estimate_transition/matrix"]
    (corrected,) = make_runs(
        "loss.transition=given", f"loss.matrix={matrix}", "methods.estimate_transition=false", toml=TOML
    )
    train(plain)
    train(corrected)
    assert evaluations(run, "estimate") == evaluations(plain, "train")
    ours = evaluations(run, "corrected")
    assert [row["test/accuracy"] for row in ours] == [
        row["test/accuracy"] for row in evaluations(corrected, "train")
    ]
    assert ours[0]["test/nll"] == evaluations(plain, "train")[0]["test/nll"], "the same initial weights"


@pytest.mark.parametrize("weights", ["best", "last"])
def test_which_weights_predict(make_runs: MakeRuns, train: Train, weights: str) -> None:
    """The best epoch by validation loss; where the noise is fitted that is not the last."""
    options = [
        f"methods.estimate_transition.weights={weights}",
        "optimizer={name = 'sgd', lr = 0.5, momentum = 0.9}",
    ]
    options.append("train.epochs=12")
    (measured,) = make_runs(*options, "loss.name=cross_entropy", toml=TOML)
    result = train(measured)
    assert json.loads(measured.env.read_text())["stages"] == ["train"]
    best, last = (
        torch.load(measured.checkpoints / name, weights_only=True)["objective"]
        for name in ("best.pt", "stage-train.pt")
    )
    assert not torch.equal(best["model.head.weight"], last["model.head.weight"])
    from imbtui.datasets.digits import Digits
    from imbtui.models.mlp import MLP
    from imbtui.numerics.transition import estimate_transition

    model = MLP((1, 8, 8), lambda width: torch.nn.Linear(width, 10), hidden=[32])
    state = best if weights == "best" else last
    model.load_state_dict({k.removeprefix("model."): v for k, v in state.items() if k.startswith("model.")})
    everything = Digits(protocol="stratified").load(measured.root, split_seed=0).train
    x = torch.from_numpy(everything.x).permute(0, 3, 1, 2)
    with torch.no_grad():
        posteriors = model(x).double().softmax(1).numpy()
    np.testing.assert_allclose(
        result["metrics"]["estimate_transition/matrix"], estimate_transition(posteriors, 97), atol=1e-5
    )


@pytest.mark.parametrize("looks", [20, 50])
def test_stopping_in_either_stage_changes_nothing(make_runs: MakeRuns, train: Train, looks: int) -> None:
    undisturbed, disturbed = *make_runs(toml=TOML), *make_runs(toml=TOML)
    expected = train(undisturbed)

    class Countdown(list):
        """A stop flag that is raised after a number of looks."""

        left = looks

        def __bool__(self) -> bool:
            Countdown.left -= 1
            return Countdown.left == 0

    assert train(disturbed, stop_flag=Countdown())["state"] == "stopped"
    assert (disturbed.artifacts / "transition.json").exists() == (looks == 50)
    for attempt in (2, 3):
        folders.update_submit(disturbed, attempt=attempt)
        result = train(disturbed)
        assert result["best"]["test/accuracy"] == expected["best"]["test/accuracy"]
        assert rows_of(disturbed) == rows_of(undisturbed)


@pytest.mark.parametrize(
    ("assignments", "sentence"),
    [
        (["dataset.validation=0", "dataset.corrupt_validation=false"], "no validation examples to choose"),
        (["methods.estimate_transition=false"], "no method estimates the transition matrix"),
        (["methods.estimate_transition.percentile=101.0"], "a percentile is at most 100"),
    ],
)
def test_what_does_not_fit_is_one_sentence(
    make_runs: MakeRuns, train: Train, assignments: list[str], sentence: str
) -> None:
    (run,) = make_runs(*assignments, toml=TOML)
    result = train(run)
    assert result["state"] == "failed"
    assert sentence in result["reason"]
