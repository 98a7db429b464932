"""Static, dynamic and one-step importance weights, and the transferred mechanism, in real runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from imbtui import folders
from imbtui.datasets.linear_sem import unit_lower_triangular
from imbtui.datasets.toy_sinc import ToySinc
from imbtui.engine.seeding import seed_of
from imbtui.methods.dynamic_weights import kernel_gamma
from imbtui.methods.importance_cross_validation import fold_of
from imbtui.numerics.mechanism import LinearMechanism, coordinate_combinations, inside_support
from imbtui.paths import RunPaths

MakeRuns = Callable[..., list[RunPaths]]
Train = Callable[..., dict[str, Any]]
SINC = """
title = "sinc"
[dataset]
name = "toy_sinc"
[model]
name = "linear"
[loss]
name = "squared"
[[methods]]
name = "least_squares"
[train]
epochs = 1
batch_size = "all"
precision = "fp64"
threads = 1
replicates = 6
"""
NOISY = """
title = "noisy digits"
[dataset]
name = "digits"
protocol = "stratified"
validation = 100
train_on_validation = "also"
[[corruptions]]
name = "label_noise"
rate = 0.4
[model]
name = "mlp"
hidden = [64]
[optimizer]
lr = 0.1
momentum = 0.9
[train]
epochs = 6
batch_size = 64
threads = 1
"""


def finished(run: RunPaths, train: Train, stop_flag: list[int] | None = None) -> dict[str, Any]:
    result = train(run, stop_flag)
    assert result["state"] == "finished", result["reason"]
    return result["metrics"]


@pytest.mark.parametrize(
    "weighting",
    [
        "methods.static_weights={ratio = 'ulsif', form = 'flattened'}",
        "methods.static_weights={ratio = 'rulsif'}",
        "methods.static_weights={ratio = 'kliep', iterations = 100}",
        "methods.static_weights={ratio = 'kmm', iterations = 500}",
        "methods.one_step=true",
    ],
)
def test_any_ratio_takes_the_line_to_where_the_tests_are(
    make_runs: MakeRuns, train: Train, weighting: str
) -> None:
    (run,) = make_runs(weighting, toml=SINC)
    metrics = finished(run, train)
    assert metrics["test/mse"] < 0.06, "unweighted it is 0.3"
    assert 2 < metrics["least_squares/effective_sample_size"] < 120
    assert (metrics["least_squares/rounds"] > 2) == ("one_step" in weighting)


def test_draws_of_the_specification_by_another_route(make_runs: MakeRuns, train: Train) -> None:
    """lu2021 §8A, seeds 0 to 5, by NumPy alone."""
    errors = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        x = rng.normal(1, 0.5, 150)
        y = np.sinc(x) + rng.normal(0, 0.25, 150)
        x_test = rng.normal(2, 0.25, 10000)
        ratio = 2 * np.exp(2 * (x - 1) ** 2 - 8 * (x - 2) ** 2)
        line = np.polyfit(x, y, 1, w=np.sqrt(ratio / (0.5 * ratio + 0.5)))
        errors.append(np.mean((np.polyval(line, x_test) - np.sinc(x_test)) ** 2))
    (run,) = make_runs("methods.static_weights={ratio = 'known', form = 'relative'}", toml=SINC)
    assert finished(run, train)["test/mse"] == pytest.approx(np.mean(errors), rel=1e-6)


CHOOSING = SINC.replace("least_squares", "importance_cross_validation")


@pytest.mark.parametrize("weighted", [True, False])
def test_the_fold_risk_under_the_full_weights_chooses_the_form_of_the_weights(
    make_runs: MakeRuns, train: Train, weighted: bool
) -> None:
    """lu2021 §3.1 by NumPy alone, on the folds of the run; ordinary cross-validation chooses no weights."""
    (run,) = make_runs(
        "methods.static_weights={ratio = 'known', mean_one = false}",
        f"methods.importance_cross_validation.weighted={str(weighted).lower()}",
        "train.replicates=1",
        toml=CHOOSING,
    )
    metrics = finished(run, train)
    data = ToySinc().load(Path(), split_seed=0)
    x, y, w = data.train.x[:, 0], data.train.targets, data.extra["ratio"].targets
    fold = fold_of(len(x), 5, seed_of(0, "methods.importance_cross_validation")).numpy()
    risks = []
    for gamma in (0, 0.25, 0.5, 0.75, 1):
        risk = 0.0
        for number in range(5):
            kept = fold != number
            line = np.polyfit(x[kept], y[kept], 1, w=np.sqrt(w[kept] ** gamma))
            losses = (np.polyval(line, x[~kept]) - y[~kept]) ** 2
            risk += np.mean((w[~kept] if weighted else 1) * losses) / 5
        risks.append(risk)
    chosen = (0, 0.25, 0.5, 0.75, 1)[int(np.argmin(risks))]
    assert metrics["importance_cross_validation/chosen"] == chosen
    assert metrics["importance_cross_validation/risk"] == pytest.approx(min(risks), rel=1e-6)
    assert (chosen == 0) == (not weighted)
    sizes = np.bincount(fold)
    assert sizes.max() - sizes.min() <= 1


def test_cross_validation_says_what_it_lacks(make_runs: MakeRuns, train: Train) -> None:
    (run,) = make_runs(toml=CHOOSING)
    assert "no weights to choose a form of" in train(run)["reason"]
    static = "methods.static_weights={ratio = 'known', mean_one = false}"
    for options, reason in (
        ("{folds = 1}", "leaves nothing to train on"),
        ("{folds = 1000}", "fewer training examples than folds"),
        ("{candidates = []}", "no candidate"),
        ("{form = 'relative'}", "alpha is below 1"),
    ):
        (run,) = make_runs(f"methods.importance_cross_validation={options}", static, toml=CHOOSING)
        assert reason in train(run)["reason"], options
    relative = "methods.importance_cross_validation={form = 'relative', candidates = [0, 0.5]}"
    (run,) = make_runs(relative, static, toml=CHOOSING)
    assert finished(run, train)["test/mse"] < 0.06


def test_the_density_ratio_of_the_toy_data_averages_one() -> None:
    ratio = ToySinc(n_train=200000).load(Path(), split_seed=0).extra["ratio"].targets
    assert ratio.mean() == pytest.approx(1, abs=0.05)


def test_gradients_on_clean_images_tell_wrong_labels_and_random_weights_do_not(
    make_runs: MakeRuns, train: Train
) -> None:
    found = {}
    for agreement in ("validation", "random"):
        (run,) = make_runs(f"methods.learning_to_reweight.agreement={agreement}", toml=NOISY)
        found[agreement] = finished(run, train)
    assert found["validation"]["running/corrupted_weight"] < 0.3
    assert found["random"]["running/corrupted_weight"] == pytest.approx(0.37, abs=0.05)
    assert found["validation"]["running/mean_weight"] == pytest.approx(1, abs=1e-4)
    (run,) = make_runs("methods.learning_to_reweight.start_epoch='100%'", "train.epochs=1", toml=NOISY)
    assert finished(run, train)["running/max_weight"] == 1
    (run,) = make_runs(
        "methods.learning_to_reweight=true",
        "dataset.validation=0",
        "dataset.train_on_validation=never",
        toml=NOISY,
    )
    assert "no validation set to agree with" in train(run)["reason"]


@pytest.mark.parametrize("transform", ["loss", "features"])
def test_dynamic_weights_find_the_wrong_labels(make_runs: MakeRuns, train: Train, transform: str) -> None:
    (run,) = make_runs(f"methods.dynamic_weights.transform={transform}", toml=NOISY)
    metrics = finished(run, train)
    rows = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    shares = [row["running/corrupted_weight"] for row in rows if "running/corrupted_weight" in row]
    assert shares[0] == pytest.approx(0.37, abs=0.04), "the first epoch is unweighted"
    assert shares[-1] < (0.1 if transform == "loss" else 0.36)
    assert metrics["running/effective_sample_size"] < 64


def test_kernel_coefficients() -> None:
    distances = torch.linspace(0, 2, 201, dtype=torch.float64)
    assert float(kernel_gamma(distances, "median")) == pytest.approx(0.5)
    assert float(kernel_gamma(distances, "quantile01_gamma")) == pytest.approx(0.02)
    assert float(kernel_gamma(torch.zeros(3), "median")) == 1
    assert float(kernel_gamma(torch.zeros(0), "median")) == 1


def test_the_oracle_and_the_label_ratio(make_runs: MakeRuns, train: Train) -> None:
    (clean,) = make_runs("methods.static_weights.ratio=clean", "train.epochs=1", toml=NOISY)
    assert finished(clean, train)["running/corrupted_weight"] == 0
    (labels,) = make_runs("methods.static_weights.ratio=labels", "train.epochs=1", toml=NOISY, name="labels")
    finished(labels, train)
    (other,) = make_runs("methods.static_weights.ratio=known", "train.epochs=1", toml=NOISY, name="true")
    assert "does not know its density ratio" in train(other)["reason"]


def test_without_validation_examples_there_is_nothing_to_match(make_runs: MakeRuns, train: Train) -> None:
    for number, method in enumerate(("dynamic_weights", "static_weights", "one_step")):
        (run,) = make_runs(
            f"methods.{method}=true",
            "dataset.validation=0",
            "dataset.train_on_validation=never",
            toml=NOISY,
            name=f"none-{number}",
        )
        result = train(run)
        assert result["state"] == "failed"
        assert "dataset.validation" in result["reason"]


@pytest.mark.parametrize("method", ["one_step={ratio = 'network'}", "dynamic_weights={start_epoch = 0}"])
def test_a_stopped_run_goes_on_to_the_same_weights(make_runs: MakeRuns, train: Train, method: str) -> None:
    """The network of weights and the state of its optimizer are part of the checkpoint."""
    changes = (f"methods.{method}", "train.epochs=2")
    (whole,) = make_runs(*changes, toml=NOISY)
    (halted,) = make_runs(*changes, toml=NOISY, name="halted")
    expected = finished(whole, train)
    assert train(halted, [1])["state"] == "stopped"
    folders.update_submit(halted, attempt=2)
    metrics = finished(halted, train)
    assert metrics["test/loss"] == expected["test/loss"]
    ends = [torch.load(r.checkpoints / "stage-train.pt", weights_only=True) for r in (whole, halted)]
    for name, value in ends[0]["objective"].items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, ends[1]["objective"][name]), name


def test_the_network_of_weights_refuses_several_processes(
    make_runs: MakeRuns, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imbtui.methods import one_step

    monkeypatch.setattr(one_step, "world_size", lambda: 2)
    (run,) = make_runs("methods.one_step.ratio=network", toml=NOISY)
    assert "in a single process" in train(run)["reason"]


def test_all_combinations_of_coordinates() -> None:
    rng = np.random.default_rng(0)
    sources = np.array([[0.0, 10.0], [1.0, 11.0]])
    combined = coordinate_combinations(sources, most=4, rng=rng)
    assert sorted(combined.tolist()) == [[0, 10], [0, 11], [1, 10], [1, 11]]
    drawn = coordinate_combinations(rng.normal(size=(10, 4)), most=50, rng=rng)
    assert drawn.shape == (50, 4)


def test_a_linear_mechanism_is_found_up_to_order_and_scale() -> None:
    rng = np.random.default_rng(0)
    mixing = unit_lower_triangular(3, rng)
    sources = rng.laplace(size=(5000, 3))
    z = sources @ mixing.T
    mechanism = LinearMechanism(seed=0).fit(z, np.zeros(5000, dtype=np.int64))
    assert mechanism.converged
    np.testing.assert_allclose(mechanism.forward(mechanism.inverse(z)), z, atol=1e-8)
    alike = np.abs(np.corrcoef(mechanism.inverse(z).T, sources.T)[:3, 3:])
    np.testing.assert_allclose(np.sort(alike.max(1)), 1, atol=0.02)


def test_what_lies_outside_the_support_is_rejected() -> None:
    points = np.random.default_rng(0).normal(size=(200, 2))
    far = np.array([[0.0, 0.0], [50.0, 0.0], [np.nan, 0.0], [np.inf, 1.0]])
    assert inside_support(points, far).tolist() == [True, False, False, False]


def test_a_transferred_mechanism_beats_the_few_target_points(make_runs: MakeRuns, train: Train) -> None:
    toml = SINC.replace("toy_sinc", "linear_sem").replace("least_squares", "mechanism_transfer")
    (run,) = make_runs("methods.mechanism_transfer.reject=true", toml=toml)
    metrics = finished(run, train)
    assert metrics["mechanism_transfer/better"] >= 5 / 6
    assert metrics["mechanism_transfer/log_mse"] < metrics["mechanism_transfer/target_only_log_mse"]
    assert 0.1 < metrics["mechanism_transfer/accepted"] < 1
