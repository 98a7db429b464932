"""Diverse models through the engine: what the penalty does, what is logged, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch

from imbtui.metrics import read_rows
from imbtui.paths import RunPaths

MakeRuns = Callable[..., list[RunPaths]]
Train = Callable[..., dict[str, Any]]
TOML = """
[dataset]
name = "collages"
n_train = 500
n_test = 200
components = 12
[model]
name = "mlp"
hidden = [8]
activation = "leaky_relu"
head = "binary"
[[methods]]
name = "diversity"
members = 3
[[probes]]
name = "model_selection"
every = "100%"
[[probes]]
name = "gradient_alignment"
every = "100%"
[optimizer]
name = "adam"
lr = 0.01
[train]
steps = 60
batch_size = 64
evaluate_every = "100%"
threads = 1
"""


def trained(make_runs: MakeRuns, train: Train, *assignments: str) -> tuple[RunPaths, dict[str, Any]]:
    (run,) = make_runs(*assignments, toml=TOML)
    result = train(run)
    assert result["state"] == "finished", result["reason"]
    return run, result["metrics"]


def end_state(run: RunPaths) -> dict[str, torch.Tensor]:
    return torch.load(run.checkpoints / "stage-train.pt", weights_only=True)["objective"]


def running(run: RunPaths) -> list[float]:
    return [row["running/alignment"] for row in read_rows(run.metrics)[0] if "running/alignment" in row]


def test_the_penalty_lowers_the_alignment(make_runs: MakeRuns, train: Train) -> None:
    run, diverse = trained(make_runs, train)
    other, independent = trained(make_runs, train, "methods.diversity.strength=0.0")
    name = "gradient_alignment/cosine_squared"
    assert diverse[name] < 0.5 * independent[name]
    assert running(run)
    assert not running(other)
    # Both start from the same weights and see the same batches.
    first, second = (next(row for row in read_rows(r.metrics)[0] if "test/nll" in row) for r in (run, other))
    assert first["test/nll"] == second["test/nll"]


def test_selection_is_named_and_agrees_with_the_models(make_runs: MakeRuns, train: Train) -> None:
    run, metrics = trained(make_runs, train, "probes.model_selection.exclude_below=0.0")
    tiles = [f"tile_{number}" for number in range(4)]
    members = torch.tensor([metrics[f"model_selection/members/{tile}"] for tile in tiles])
    assert members.shape == (4, 3)

    def of(rule: str) -> list[float]:
        return [metrics[f"model_selection/{rule}/{tile}"] for tile in tiles]

    assert of("oracle") == pytest.approx(members.amax(1).tolist())
    assert of("mean") == pytest.approx(members.mean(1).tolist())
    assert of("one_model") == pytest.approx(members[:, members.mean(0).argmax()].tolist())
    own = torch.tensor(metrics["model_selection/members/test"])
    assert of("in_distribution") == pytest.approx(members[:, own.argmax()].tolist())
    assert metrics["model_selection/lowest/test"] == pytest.approx(own.min().item())
    assert metrics["model_selection/oracle"] == pytest.approx(members.amax(1).mean().item())
    assert metrics["model_selection/working"] == 3
    document = json.loads((run.artifacts / "gradient_alignment.json").read_text())
    (matrix,) = document["matrices"].values()
    off = [matrix[i][j] for i in range(3) for j in range(3) if i != j]
    assert metrics["gradient_alignment/cosine"] == pytest.approx(sum(off) / 6)
    assert [matrix[i][i] for i in range(3)] == pytest.approx([1.0] * 3, abs=1e-4)


def test_heads_on_the_features_of_one_frozen_network(make_runs: MakeRuns, train: Train) -> None:
    options = ["methods.diversity.shared=features", "model.batch_norm=true"]
    run, metrics = trained(make_runs, train, *options)
    state = end_state(run)
    assert metrics["model_selection/working"] >= 1
    assert running(run)
    other, _ = trained(make_runs, train, *options, "train.steps=1")
    before = end_state(other)
    frozen = {name for name in state if name.startswith("model.shared.")}
    heads = {name for name in state if name.startswith("model.networks.")}
    assert len(frozen) >= 4
    assert len(heads) == 6  # a weight and a bias each
    assert all(torch.equal(state[name], before[name]) for name in frozen)
    assert not any(torch.equal(state[name], before[name]) for name in heads)


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        (["methods.diversity=false", "probes.gradient_alignment=false"], "Add the method diversity"),
        (["dataset.name=digits", "model.head=linear"], "offers no further test sets"),
        (
            ["dataset.name=modular", "dataset.p=7", "model.name=token_mlp", "model.head=linear"],
            "no gradient in tokens",
        ),
    ],
)
def test_refused(make_runs: MakeRuns, train: Train, assignments: list[str], message: str) -> None:
    (run,) = make_runs(*assignments, toml=TOML)
    assert message in train(run)["reason"]
