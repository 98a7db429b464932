"""Groups on their way from a data set to a loss; examples outside the task; points in time; unit steps."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from imbtui.engine.optim import NormalisedDescent, unit_direction
from imbtui.engine.tick import Tick
from imbtui.errors import UserError
from imbtui.paths import RunPaths
from imbtui.recipe import load_study

MakeRuns = Callable[..., list[RunPaths]]
Train = Callable[..., dict[str, Any]]
GROUPS = """
title = "groups"
[dataset]
name = "gaussian_mixture"
form = "groups"
counts = [20, 20, 5, 5]
dimension = 60
[model]
name = "linear"
[loss]
name = "group_vs"
[optimizer]
lr = 0.1
[train]
epochs = 4
batch_size = "all"
evaluate_every = [1, 3]
threads = 1
"""


def test_a_group_loss_trains_and_is_evaluated(make_runs: MakeRuns, train: Train) -> None:
    (run,) = make_runs("probes.group_metrics=true", toml=GROUPS)
    result = train(run)
    assert result["state"] == "finished", result["reason"]
    assert math.isfinite(result["metrics"]["test/loss"])
    assert 0 <= result["metrics"]["group_metrics/worst_error"] <= 1
    assert len(result["metrics"]["group_metrics/error"]) == 4


def test_a_group_loss_needs_groups(make_runs: MakeRuns, train: Train) -> None:
    (run,) = make_runs("loss.name=group_vs_official")
    result = train(run)
    assert result["state"] == "failed"
    assert "the loss needs groups, and the data set has none" in result["reason"]


def test_evaluations_at_listed_points_in_time(make_runs: MakeRuns, train: Train) -> None:
    (run,) = make_runs(toml=GROUPS)
    train(run)
    rows = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    assert [row["step"] for row in rows if "test/loss" in row] == [0, 1, 3, 4]


@pytest.mark.parametrize(
    ("points", "steps"),
    [
        ([1, "2it", "50%"], [2, 5, 10, 20]),
        (["1it"], [1, 20]),
        ([7], [20]),
        ("3it", [3, 6, 9, 12, 15, 18, 20]),
    ],
)
def test_points_in_time(points: Any, steps: list[int]) -> None:
    """Four epochs of five steps; the end is always one."""
    assert [s + 1 for s in range(20) if Tick("train", s, 5, 20).due(points)] == steps


@pytest.mark.parametrize("value", ["[]", "[0]", '["0%"]', "[[1]]", '["soon"]', "[1.5]"])
def test_points_that_are_none(make_runs: MakeRuns, value: str) -> None:
    with pytest.raises(UserError):
        make_runs(f"train.evaluate_every={value}")


def test_examples_outside_the_task_are_not_evaluated(make_runs: MakeRuns, train: Train) -> None:
    (run,) = make_runs(
        "dataset.name=digits",
        "dataset.protocol=classes",
        "corruptions.long_tail=false",
        "probes.prediction_rate=true",
    )
    metrics = train(run)["metrics"]
    assert {name.split("/")[0] for name in metrics} == {"train", "test", "running", "prediction_rate"}
    rates = {n.split("/")[1]: v for n, v in metrics.items() if n.startswith("prediction_rate")}
    assert rates.keys() == {"test", "other_classes", "noise"}
    assert all(0 <= rate <= 1 for rate in rates.values())


def test_unit_steps() -> None:
    parameters = [nn.Parameter(torch.tensor([1.0, 2.0])), nn.Parameter(torch.tensor([[3.0]]))]
    optimizer = NormalisedDescent(parameters, lr=0.5)
    parameters[0].grad, parameters[1].grad = torch.tensor([2.0, 0.0]), torch.tensor([[1.5]])
    optimizer.step()
    torch.testing.assert_close(parameters[0].detach(), torch.tensor([1 - 0.5 * 0.8, 2.0]))
    torch.testing.assert_close(parameters[1].detach(), torch.tensor([[3 - 0.5 * 0.6]]))


def test_unit_direction_of_tiny_and_zero_gradients() -> None:
    """kini2021 §8.9: the squares of these entries are zero in float64."""
    tiny = [torch.tensor([3e-200, -4e-200], dtype=torch.float64)]
    torch.testing.assert_close(unit_direction(tiny)[0], torch.tensor([0.6, -0.8], dtype=torch.float64))
    assert unit_direction([torch.zeros(2)])[0].tolist() == [0.0, 0.0]
    assert unit_direction([]) == []


def test_recipe_of_a_unit_step_optimizer(tmp_path: Any) -> None:
    path = tmp_path / "r.toml"
    path.write_text(GROUPS)
    study = load_study(path, ["optimizer.name=normalised_gd"])
    assert study.runs[0].recipe.optimizer.model_dump() == {"name": "normalised_gd", "lr": 0.1}
    with pytest.raises(UserError, match="momentum"):
        load_study(path, ["optimizer.name=normalised_gd", "optimizer.momentum=0.9"])
