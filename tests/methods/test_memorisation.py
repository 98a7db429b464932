"""Loss sensitivity and example difficulty as runs: arpit2017 §4."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from imbtui.engine.batch import Batch
from imbtui.engine.objective import Objective
from imbtui.engine.tick import Tick
from imbtui.losses.cross_entropy import CrossEntropy
from imbtui.methods.unrolled_sgd import class_matrix, sensitivity, sgd_step
from imbtui.paths import RunPaths
from imbtui.probes.input_gradient import input_gradient_norms

MakeRuns = Callable[..., list[RunPaths]]
Train = Callable[..., dict[str, Any]]
T = Tick("train", 0, 1, 1)
TOML = """
title = "memorisation"
[dataset]
name = "digits"
protocol = "stratified"
[[corruptions]]
name = "subset"
n = 100
[model]
name = "mlp"
hidden = [16]
[optimizer]
lr = 0.1
[train]
steps = 40
batch_size = 20
threads = 1
"""


def batch(x: torch.Tensor, y: torch.Tensor) -> Batch:
    return Batch(x=x, y=y, index=torch.arange(len(y)), clean_targets=y, is_corrupted=y < 0)


def test_sensitivity_goes_through_the_steps() -> None:
    """Against finite differences of the loss after three steps, retrained from scratch."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    objective = Objective(model, CrossEntropy(torch.ones(2)), [])
    x, y = torch.randn(6, 3, dtype=torch.float64), torch.tensor([0, 1, 0, 1, 1, 0])
    steps = [torch.tensor([0, 1, 2]), torch.tensor([3, 4, 5]), torch.tensor([0, 2, 4])]

    def loss_after(x: torch.Tensor) -> torch.Tensor:
        weights = {n: p.detach().clone().requires_grad_() for n, p in objective.named_parameters()}
        for chosen in steps:
            weights = sgd_step(objective, weights, batch(x[chosen], y[chosen]), T, 0.5)
        return torch.func.functional_call(objective, weights, (batch(x, y), T))[0]

    x.requires_grad_()
    found = sensitivity(loss_after(x), x)
    expected = torch.zeros(6)
    for i in range(6):
        for j in range(3):
            bump = torch.zeros_like(x)
            bump[i, j] = 1e-6
            expected[i] += ((loss_after(x.detach() + bump) - loss_after(x.detach() - bump)) / 2e-6).abs()
    torch.testing.assert_close(found, expected.double(), atol=1e-6, rtol=1e-5)


def test_unrolled_training_is_training(make_runs: MakeRuns, train: Train) -> None:
    """The steps are those of `fit`: the same batches, the same weights."""
    (unrolled,) = make_runs("methods.unrolled_sgd.every=10it", toml=TOML)
    (plain,) = make_runs(toml=TOML)
    metrics, expected = train(unrolled)["metrics"], train(plain)["metrics"]
    for name in ("train/loss", "test/loss", "train/accuracy"):
        assert metrics[name] == pytest.approx(expected[name], rel=1e-4)
    rows = [json.loads(line) for line in unrolled.metrics.read_text().splitlines()]
    assert [row["step"] for row in rows if "unrolled_sgd/gini" in row] == [10, 20, 30, 40]
    assert 0 < metrics["unrolled_sgd/gini"] < 1
    with np.load(unrolled.artifacts / "loss_sensitivity.npz") as file:
        assert file["sensitivity"].shape == (100,)
        assert metrics["unrolled_sgd/mean"] == pytest.approx(file["sensitivity"].mean())


def test_class_sensitivity_adds_up_to_the_whole_where_signs_agree(make_runs: MakeRuns, train: Train) -> None:
    """|sum| is at most the sum of parts; the diagonal holds more than its even share."""
    (run,) = make_runs("methods.unrolled_sgd={every = 2, by_class = true}", toml=TOML)
    metrics = train(run)["metrics"]
    assert metrics["unrolled_sgd/diagonal"] > 0.1
    with np.load(run.artifacts / "loss_sensitivity.npz") as file:
        assert file["by_class"].shape == (10, 10)
        assert file["by_class"].sum() / 10 > file["sensitivity"].mean() * 0.9


def test_class_matrix_is_a_mean_over_examples() -> None:
    by_class = torch.tensor([[1.0, 3, 10], [2, 4, 20]], dtype=torch.float64)
    assert class_matrix(by_class, torch.tensor([0, 0, 1])).tolist() == [[2, 10], [3, 20]]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("optimizer.momentum=0.9", "plain SGD"),
        ("optimizer.name=adam", "plain SGD"),
        ("model.batch_norm=true", "keeps no state between steps"),
    ],
)
def test_what_cannot_be_unrolled_is_refused(
    make_runs: MakeRuns, train: Train, change: str, says: str
) -> None:
    (run,) = make_runs("methods.unrolled_sgd=true", change, toml=TOML)
    assert says in train(run)["reason"]


def test_difficulty_is_what_networks_agree_on(make_runs: MakeRuns, train: Train) -> None:
    (run,) = make_runs("methods.example_difficulty=true", "train.replicates=6", toml=TOML)
    result = train(run)
    assert result["state"] == "finished", result["reason"]
    metrics = result["metrics"]
    with np.load(run.artifacts / "difficulty.npz") as file:
        share = file["share_correct"]
    assert set(np.round(share * 6, 9)) <= set(range(7))
    assert metrics["example_difficulty/mean"] == pytest.approx(share.mean())
    assert metrics["example_difficulty/always"] == (share == 1).mean()
    rows = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    accuracies = {row["stage"]: row["train/accuracy"] for row in rows if "train/accuracy" in row}
    assert list(accuracies) == [f"network-{n}" for n in range(6)] == json.loads(run.env.read_text())["stages"]
    assert len(set(accuracies.values())) > 1, "networks differ"
    assert share.mean() == pytest.approx(np.mean(list(accuracies.values())))


def test_difficulty_needs_a_constant_learning_rate(make_runs: MakeRuns, train: Train) -> None:
    (run,) = make_runs("methods.example_difficulty=true", "schedule.name=cosine", toml=TOML)
    assert "constant learning rate" in train(run)["reason"]


def test_the_stand_in_for_sensitivity_looks_at_examples_alone() -> None:
    torch.manual_seed(0)
    model = nn.Linear(3, 2).double()
    x, y = torch.randn(5, 3, dtype=torch.float64), torch.tensor([0, 1, 0, 1, 1])
    found = input_gradient_norms(model, x, y)
    slope = model.weight[1] - model.weight[0]
    wrong = 1 - model(x).softmax(1).gather(1, y[:, None])[:, 0]
    torch.testing.assert_close(found, (wrong * slope.abs().sum()).detach())


def test_critical_samples_by_radius(make_runs: MakeRuns, train: Train) -> None:
    (run,) = make_runs(
        "probes.critical_sample_ratio={radii = [0.001, 0.1, 0.9], scale = 1, iterations = 4, every = 2}",
        toml=TOML,
    )
    metrics = train(run)["metrics"]
    ratios = [metrics[f"critical_sample_ratio/{radius}"] for radius in ("0.001", "0.1", "0.9")]
    assert ratios == sorted(ratios)
    assert ratios[0] < 0.2 < ratios[2]


def test_members_of_an_ensemble_answer_together(make_runs: MakeRuns, train: Train) -> None:
    (run,) = make_runs(
        "methods.ensemble=true",
        "probes.critical_sample_ratio={radii = [0.1], scale = 1, iterations = 2, every = 20}",
        "probes.input_gradient.every=20",
        toml=TOML,
    )
    result = train(run)
    assert result["state"] == "finished", result["reason"]
    assert 0 <= result["metrics"]["critical_sample_ratio/0.1"] <= 1
    assert 0 < result["metrics"]["input_gradient/gini"] < 1
