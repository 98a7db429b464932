"""Penalties of kornblith2021 and the twin, in training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from imbtui.engine.build import network
from imbtui.engine.checkpoint import Checkpoints
from imbtui.methods.extra_l2 import extra_l2_penalty
from imbtui.methods.logit_penalty import logit_penalty
from imbtui.paths import RunPaths
from imbtui.recipe.read import read_resolved

MakeRuns = Callable[..., list[RunPaths]]
Train = Callable[..., dict[str, Any]]
TOML = """
[dataset]
name = "digits"
protocol = "transfer"
[model]
name = "mlp"
hidden = [16]
head_std = 0.05
[optimizer]
name = "adamw"
weight_decay = 1e-4
[train]
steps = 20
batch_size = 64
drop_last = true
threads = 1
"""


def test_penalties() -> None:
    """kornblith2021 §2: half the squares."""
    weight = torch.tensor([[1.0, -2.0], [0.0, 3.0]], dtype=torch.float64)
    assert float(extra_l2_penalty(weight, 8e-4)) == pytest.approx(4e-4 * 14)
    assert float(logit_penalty(weight, 6e-4)) == pytest.approx(3e-4 * 14 / 2)
    assert float(logit_penalty(torch.stack([weight, weight]), 6e-4)) == pytest.approx(3e-4 * 14 / 2)
    weight.requires_grad_()
    assert torch.autograd.gradcheck(lambda w: extra_l2_penalty(w, 0.3), weight)
    assert torch.autograd.gradcheck(lambda z: logit_penalty(z, 0.3), weight)


def test_logit_penalty_is_not_computed_in_half_precision() -> None:
    logits = torch.full((2, 4), 300.0, dtype=torch.bfloat16)
    assert logit_penalty(logits, 2.0).dtype == torch.float32


def end_of(run: RunPaths) -> dict[str, torch.Tensor]:
    state = Checkpoints(run.checkpoints, writes=False, device=torch.device("cpu"), every=None)
    finished = state.finished("train")
    assert finished is not None
    return finished["objective"]


@pytest.mark.parametrize("head", ["linear", "cosine"])
def test_extra_l2_shrinks_the_head_and_leaves_its_bias(make_runs: MakeRuns, train: Train, head: str) -> None:
    bias = ["model.head_bias=true"] if head == "cosine" else []
    weights, biases = [], []
    for number, strength in enumerate((0.0, 1e3)):
        (run,) = make_runs(
            f"model.head={head}",
            f"methods.extra_l2.strength={strength}",
            *bias,
            toml=TOML,
            name=f"l2-{number}",
        )
        assert train(run)["state"] == "finished"
        state = end_of(run)
        weights.append(float(state["model.head.weight"].norm()))
        biases.append(float(state["model.head.bias"].abs().max()))
    assert weights[1] < 0.9 * weights[0]
    assert biases[1] > 1e-3


def test_extra_l2_needs_a_head(make_runs: MakeRuns, train: Train) -> None:
    (run,) = make_runs("model.head=batch_norm", "methods.extra_l2=true", toml=TOML)
    result = train(run)
    assert (result["state"], "no linear or cosine head" in result["reason"]) == ("failed", True)


@pytest.mark.parametrize(
    "own",
    [
        ["loss.name=label_smoothing"],
        ["model.head=cosine", "model.head_temperature=0.05", "model.head_dropout=0.3"],
        ["methods.extra_l2=true", "methods.logit_penalty.strength=0.1"],
    ],
    ids=["loss", "head", "penalties"],
)
def test_the_twin_becomes_what_plain_cross_entropy_makes_of_the_network(
    make_runs: MakeRuns, train: Train, own: list[str]
) -> None:
    (plain,) = make_runs(toml=TOML, name="plain")
    (run,) = make_runs("methods.twin=true", *own, toml=TOML, name="with-twin")
    assert train(plain)["state"] == "finished"
    result = train(run)
    assert result["state"] == "finished", result["reason"]
    assert result["metrics"]["running/twin_loss"] > 0
    state = end_of(run)
    (twin,) = (
        prefix for prefix in {k.partition("network.")[0] for k in state} if prefix.startswith("methods")
    )
    of_twin = {k.removeprefix(f"{twin}network."): v for k, v in state.items() if k.startswith(twin)}
    expected = {k.removeprefix("model."): v for k, v in end_of(plain).items() if k.startswith("model.")}
    torch.testing.assert_close(of_twin, expected)
    model: nn.Module = network(read_resolved(plain.recipe), (1, 8, 8), 5)
    model.load_state_dict(of_twin)


def test_a_probe_that_wants_a_twin_says_so(make_runs: MakeRuns, train: Train) -> None:
    (run,) = make_runs("probes.cka.against=twin", toml=TOML)
    assert 'Add the method "twin"' in train(run)["reason"]


OTHERS = ["dataset.protocol=stratified", "dataset.n_test=300"]


def begins_with(make_runs: MakeRuns, train: Train, *assignments: str, name: str) -> dict[str, torch.Tensor]:
    """The model's state after no more than a step so small that it moves nothing."""
    (run,) = make_runs("train.steps=1", "optimizer.lr=1e-30", *assignments, *OTHERS, toml=TOML, name=name)
    result = train(run)
    assert result["state"] == "finished", result["reason"]
    return end_of(run)


def test_fine_tuning_starts_from_the_other_runs_weights(make_runs: MakeRuns, train: Train) -> None:
    """kornblith2021 §4: on a task with other classes, with a head of its own."""
    (source,) = make_runs(toml=TOML, name="source")
    assert train(source)["state"] == "finished"
    theirs = end_of(source)
    fresh = begins_with(make_runs, train, name="fresh")
    by_name = {"id": source.id, "folder": str(source.root)}
    for name, run in by_name.items():
        tuned = begins_with(make_runs, train, f"methods.pretrained.run={run}", name=name)
        for layer in ("model.body.1.weight", "model.body.1.bias"):
            torch.testing.assert_close(tuned[layer], theirs[layer])
        torch.testing.assert_close(tuned["model.head.weight"], fresh["model.head.weight"])


def test_an_arm_is_found_by_study_label_and_seed(make_runs: MakeRuns, train: Train) -> None:
    arms = (
        "[[arms]]\nlabel = 'softmax'\n[[arms]]\nlabel = 'smooth'\nset = { 'loss.name' = 'label_smoothing' }\n"
    )
    seeds = "seeds = [0, 1]\n"
    sources = make_runs(toml=f"{seeds}{TOML}{arms}", name="source")
    wanted = next(run for run in sources if "smooth-s1" in run.id)
    options = ["methods.pretrained.run=source:smooth", "train.steps=1", *OTHERS]
    asking = make_runs(*options, toml=f"{seeds}{TOML}", name="asking")[1]
    early = train(asking)
    assert early["state"] == "failed"
    assert 'no finished run of the arm "smooth" of source has seed 1' in early["reason"]
    assert "imbtui run source --seeds 1" in early["reason"]

    for run in sources:
        assert train(run)["state"] == "finished"
    again = make_runs(*options, "optimizer.lr=1e-30", toml=f"{seeds}{TOML}", name="again")[1]
    result = train(again)
    assert result["state"] == "finished", result["reason"]
    torch.testing.assert_close(end_of(again)["model.body.1.weight"], end_of(wanted)["model.body.1.weight"])


@pytest.mark.parametrize(
    ("assignments", "reason"),
    [
        (["model.hidden=[17]"], '"body.1.weight" is not of the same shape'),
        (["methods.pretrained.exclude=['body.9']"], 'the model has no layer "body.9"'),
        (["methods.pretrained.exclude=[]"], '"head.weight" is not of the same shape'),
    ],
)
def test_weights_that_do_not_fit(
    make_runs: MakeRuns, train: Train, assignments: list[str], reason: str
) -> None:
    (source,) = make_runs(toml=TOML, name="source")
    (unfinished,) = make_runs(f"methods.pretrained.run={source.id}", *OTHERS, toml=TOML, name="early")
    assert "has not finished" in train(unfinished)["reason"]
    assert train(source)["state"] == "finished"
    (run,) = make_runs(f"methods.pretrained.run={source.id}", *assignments, *OTHERS, toml=TOML, name="late")
    assert reason in train(run)["reason"]
