"""Random features in closed form, ensembles, and the probes that look at double descent (nakkiran2019)."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import pytest
import torch

from imbtui import folders
from imbtui.metrics import read_rows, series
from imbtui.numerics.double_descent import double_descent, interpolation_threshold
from imbtui.paths import RunPaths

MakeRuns = Callable[..., list[RunPaths]]
Train = Callable[..., dict[str, Any]]

FEATURES = """
title = "random features"
seeds = [0, 1, 2]
[dataset]
name = "digits"
n_train = 200
n_val = 797
pixels = "centred"
[[corruptions]]
name = "label_noise"
rate = 0.2
nested = true
[model]
name = "linear"
[[methods]]
name = "random_features"
[train]
steps = 1
batch_size = "all"
precision = "fp64"
threads = 1
"""
MLP = """
title = "small members"
[dataset]
name = "digits"
n_train = 100
n_val = 300
pixels = "symmetric"
[model]
name = "width_mlp"
width = 8
[optimizer]
name = "adam"
lr = 1e-2
[train]
steps = 30
batch_size = "all"
evaluate_every = "10it"
threads = 1
"""


def test_random_features_reproduce_the_table(make_runs: MakeRuns, train: Train) -> None:
    """nakkiran2019 §9 A at 20 % noise: .267, .868, .241 over five seeds, which differ by .03 to .05."""
    expected = {120: (0.267, 0.06), 200: (0.868, 0.09), 1000: (0.241, 0.06)}
    for features, (error, tolerance) in expected.items():
        results = [
            train(run)["metrics"]
            for run in make_runs(f"methods.random_features.features={features}", toml=FEATURES)
        ]
        assert statistics.mean(r["test/error"] for r in results) == pytest.approx(error, abs=tolerance)
        assert all((r["train/error"] == 0) == (features >= 200) for r in results)


def test_a_finished_closed_form_is_loaded(make_runs: MakeRuns, train: Train) -> None:
    run, *_ = make_runs("methods.random_features.features=50", toml=FEATURES)
    first = train(run)
    assert (first["state"], first["steps"]) == ("finished", 1)
    folders.update_submit(run, attempt=2)
    assert train(run)["metrics"] == first["metrics"]


def test_members_train_as_they_would_alone(make_runs: MakeRuns, train: Train) -> None:
    settings = ("optimizer={name = 'sgd', lr = 0.1, momentum = 0.9}",)
    (alone,) = make_runs(*settings, toml=MLP)
    (together,) = make_runs(*settings, "methods.ensemble.members=3", "probes.plurality=true", toml=MLP)
    assert train(alone)["state"] == train(together)["state"] == "finished", together.result.read_text()

    def weights(run: RunPaths) -> dict[str, torch.Tensor]:
        return torch.load(run.checkpoints / "stage-train.pt", weights_only=True)["objective"]

    one, all_of_them = weights(alone), weights(together)
    for name, value in one.items():
        member = all_of_them[name.replace("model.", "model.networks.0.")]
        torch.testing.assert_close(member, value, rtol=1e-5, atol=1e-6)
        assert not torch.equal(all_of_them[name.replace("model.", "model.networks.1.")], value)


def test_votes_are_counted(make_runs: MakeRuns, train: Train) -> None:
    (run,) = make_runs("methods.ensemble.members=5", "probes.plurality.every='30it'", toml=MLP)
    metrics = train(run)["metrics"]
    error, member_error = metrics["plurality/error"], metrics["plurality/member_error"]
    assert 0 < error < member_error < 1
    assert metrics["plurality/gain"] == pytest.approx(member_error - error)
    assert metrics["test/error"] == pytest.approx(error, abs=0.05), "mean probabilities vote much alike"


def test_what_cannot_vote_is_refused(make_runs: MakeRuns, train: Train) -> None:
    (run,) = make_runs("probes.plurality=true", toml=MLP)
    assert "the model has no members. Add the method ensemble." in train(run)["reason"]
    (run,) = make_runs("methods.random_features=true", "methods.ensemble=true", toml=MLP)
    assert "List ensemble first." in train(run)["reason"]


def test_double_descent_in_the_course_of_training(make_runs: MakeRuns, train: Train) -> None:
    settings = ("probes.double_descent.eps=0.5", "train.steps=60", "train.evaluate_every='5it'")
    (run,) = make_runs(*settings, toml=MLP)
    metrics = train(run)["metrics"]
    rows = read_rows(run.metrics)[0]
    training, test = series(rows, "train/error"), series(rows, "test/error")
    threshold = interpolation_threshold(training.values, 0.5)
    assert threshold is not None
    assert metrics["double_descent/threshold_step"] == training.steps[threshold]
    found = double_descent(test.values, threshold)
    assert metrics["double_descent/prominence"] == (None if found is None else found.prominence)
    (unfit,) = make_runs("probes.double_descent.eps=0.0", "train.steps=5", toml=MLP)
    assert train(unfit)["metrics"]["double_descent/threshold_step"] is None


def test_the_error_on_noisy_labels(make_runs: MakeRuns, train: Train) -> None:
    """nakkiran2019 §2: right answers are wrong at the rate p, and wrong ones right at p / (K - 1)."""
    settings = ("corruptions.label_noise.rate=0.2", "probes.noisy_error.every='30it'")
    (run,) = make_runs(*settings, toml=MLP)
    metrics = train(run)["metrics"]
    error = metrics["test/error"]
    assert metrics["noisy_error/error"] == pytest.approx((1 - error) * 0.2 + error * (1 - 0.2 / 9))
    (clean,) = make_runs("probes.noisy_error=true", toml=MLP)
    assert "the training labels have no noise" in train(clean)["reason"]
