"""Manifold mixup in training: the worked example through `fit`'s own objective, and its combinations."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from imbtui import folders
from imbtui.engine.batch import Batch
from imbtui.engine.context import MethodContext
from imbtui.engine.layers import changing, chosen_places
from imbtui.engine.objective import Objective
from imbtui.engine.tick import Tick
from imbtui.errors import UserError
from imbtui.losses.cross_entropy import CrossEntropy
from imbtui.losses.forward_correction import ForwardCorrection
from imbtui.losses.ldam import LDAM
from imbtui.losses.softmax_bce import SoftmaxBCE
from imbtui.methods.class_weights import ClassWeights
from imbtui.methods.ensemble import Ensemble
from imbtui.methods.manifold_mixup import ManifoldMixup
from imbtui.metrics import read_rows
from imbtui.models.mlp import MLP
from imbtui.numerics.mixup import mixed_states, mixed_targets, soft_cross_entropy, softmax_bce
from imbtui.paths import RunPaths

MakeRuns = Callable[..., list[RunPaths]]
Train = Callable[..., dict[str, Any]]
T = Tick("train", 3, 10, 50)


def worked_network() -> MLP:
    model = MLP((2,), lambda width: nn.Linear(width, 2, bias=False), hidden=[3]).double()
    model.body[1].weight.data = torch.tensor([[1.0, 0], [0, 1], [1, 1]], dtype=torch.float64)
    model.body[1].bias.data.zero_()
    model.head.weight.data = torch.tensor([[1.0, 0, -1], [0, 1, 0]], dtype=torch.float64)
    return model


@pytest.mark.parametrize(
    ("layer", "expected"),
    [("input", [[-1.25, 1.25], [0.25, 0]]), ("layer1", [[-1.25, 1.5], [0.25, 0.5]])],
)
def test_worked_example_of_the_layer_choice(layer: str, expected: list[list[float]]) -> None:
    """verma2019 §Worked example."""
    model = worked_network()
    x = torch.tensor([[1.0, -1], [0, 2]], dtype=torch.float64)
    places = chosen_places(model, [layer], where="test")[layer]
    with changing(places, lambda states: mixed_states(states, torch.tensor([1, 0]), 0.25)):
        torch.testing.assert_close(model(x), torch.tensor(expected, dtype=torch.float64), atol=1e-6, rtol=0)


def batch_of(n: int = 6) -> Batch:
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(n) % 3
    return Batch(
        x=torch.randn(n, 4, generator=generator, dtype=torch.float64),
        y=y,
        index=torch.arange(n) + 10,
        clean_targets=y,
        is_corrupted=torch.zeros(n, dtype=torch.bool),
        group=y % 2,
    )


def context_of(classes: int = 3) -> MethodContext:
    def make_model(seed: int, *, plain_head: bool = False) -> nn.Module:
        torch.manual_seed(seed)
        return MLP((4,), lambda width: nn.Linear(width, classes), hidden=[5, 5]).double()

    return MethodContext(
        model=make_model(0),
        make_model=make_model,
        input_shape=(4,),
        num_classes=classes,
        class_counts=torch.tensor([100, 10, 5])[:classes],
        examples={},
        batches=lambda split: (),
        whole=lambda split: batch_of(),
        seed=0,
        device=torch.device("cpu"),
        runs=Path("runs"),
        loss=CrossEntropy(torch.ones(2)),
        epoch=lambda number: (),
    )


def share_and_partners(batch: Batch, mixed: Batch) -> tuple[float, torch.Tensor]:
    (own, share), (partner, rest) = mixed.terms
    assert own is batch
    assert share + rest == pytest.approx(1)
    assert isinstance(share, float)
    return share, partner.index - 10


@pytest.mark.parametrize(("loss", "soft"), [(CrossEntropy, soft_cross_entropy), (SoftmaxBCE, softmax_bce)])
@pytest.mark.parametrize("layer", ["input", "layer1", "layer2", "features"])
def test_the_loss_is_that_of_mixed_states_and_targets(loss: Any, soft: Any, layer: str) -> None:
    context = context_of()
    method = ManifoldMixup(layers=[layer], alpha=2.0)
    method.setup(context)
    objective = Objective(context.model, loss(context.class_counts), [method]).train()
    batch = batch_of()
    with method.around_step(batch, T) as mixed:
        assert mixed is not None
        assert mixed.x is batch.x
        total, _ = objective(mixed, T)
        objective.eval()
        answers = objective.model(batch.x)  # another method's extra forward is not mixed
        objective.train()
    torch.testing.assert_close(answers, context.model(batch.x))
    share, partners = share_and_partners(batch, mixed)
    assert sorted(partners.tolist()) == list(range(6))
    assert 0 < share < 1
    partner = mixed.terms[1][0]
    assert torch.equal(partner.y, batch.y[partners])
    assert partner.group is not None
    assert batch.group is not None
    assert torch.equal(partner.group, batch.group[partners])
    place = chosen_places(context.model, [layer], where="test")[layer]
    with changing(place, lambda states: mixed_states(states, partners, share)):
        logits = context.model(batch.x)
    expected = soft(logits, mixed_targets(batch.y, partners, share, 3)).mean()
    torch.testing.assert_close(total, expected)


@pytest.mark.parametrize("blocked", [False, True])
def test_a_blocked_gradient_leaves_the_layers_in_front_as_they_are(blocked: bool) -> None:
    """verma2019 §Algorithm 5: the loss is the same, and no gradient passes the mixed layer."""
    context, batch = context_of(), batch_of()
    method = ManifoldMixup(layers=["layer2"], block_gradient=blocked)
    method.setup(context)
    objective = Objective(context.model, CrossEntropy(context.class_counts), [method]).train()
    with method.around_step(batch, T) as mixed:
        assert mixed is not None
        total, _ = objective(mixed, T)
    total.backward()
    first, second, head = (context.model.get_submodule(name) for name in ("body.1", "body.3", "head"))
    for layer in (first, second):
        assert layer.weight.grad is not None
        assert bool(layer.weight.grad.any()) is not blocked
    assert head.weight.grad.any()
    open_method = ManifoldMixup(layers=["layer2"])
    open_method.setup(context)
    with open_method.around_step(batch, T) as mixed:
        assert mixed is not None
        torch.testing.assert_close(objective(mixed, T)[0], total)


def test_each_label_brings_its_own_weight_margin_and_correction() -> None:
    """Weights apply to each label of the mixture, not to the example as a whole."""
    context = context_of()
    mixup, weights = ManifoldMixup(layers=["layer1"]), ClassWeights(scheme="inverse")
    for method in (mixup, weights):
        method.setup(context)
    noise = [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]]
    batch = batch_of()
    for loss in (
        LDAM(context.class_counts),
        ForwardCorrection(context.class_counts, transition="given", matrix=noise),
    ):
        objective = Objective(context.model, loss.double(), [mixup, weights]).train()
        with mixup.around_step(batch, T) as mixed:
            assert mixed is not None
            total, _ = objective(mixed, T)
        share, partners = share_and_partners(batch, mixed)
        place = chosen_places(context.model, ["layer1"], where="test")["layer1"]
        with changing(place, partial(mixed_states, partners=partners, share=share)):
            logits = context.model(batch.x)
        expected = logits.new_zeros(())
        for y, part in ((batch.y, share), (batch.y[partners], 1 - share)):
            factor = weights.class_weight.double()[y]
            expected = expected + part * (factor * loss(logits, y)).mean()
        torch.testing.assert_close(total, expected)


def test_draws_depend_on_the_step_alone_and_reach_every_layer() -> None:
    context = context_of()
    method = ManifoldMixup(layers=["input", "layer1", "layer2"])
    method.setup(context)
    draws = [method._draw(replace(T, step=step)) for step in range(300)]
    assert draws == [method._draw(Tick("another", step, 7, 900)) for step in range(300)]
    counts = {layer: sum(d[0] == layer for d in draws) for layer in method.names}
    assert all(70 < count < 130 for count in counts.values()), counts


def test_all_members_of_an_ensemble_are_mixed_whichever_comes_first() -> None:
    context = context_of()
    mixup, ensemble = ManifoldMixup(layers=["layer1"]), Ensemble(members=2)
    for method in (mixup, ensemble):
        method.setup(context)
    batch = batch_of()
    context.model.train()
    plain = context.model(batch.x)
    with mixup.around_step(batch, T):
        mixed = context.model(batch.x)
    assert not torch.isclose(plain, mixed).all(-1).any()


TOML = """
[dataset]
name = "digits"
protocol = "long_tail"
[[corruptions]]
name = "long_tail"
ratio = 10
n_max = 40
[model]
name = "mlp"
hidden = [32, 32]
[[methods]]
name = "manifold_mixup"
[optimizer]
lr = 0.2
momentum = 0.9
[train]
steps = 48
batch_size = 32
evaluate_every = "24it"
checkpoint_every = "5it"
threads = 1
"""
COMBINATIONS = {
    "LDAM": ["loss.name=ldam", "model.head=cosine", "methods.class_weights.start_epoch=1"],
    "forward": [
        'corruptions.label_noise={kind = "symmetric", rate = 0.3}',
        "loss.name=forward_correction",
    ],
    "lottery": ["methods.lottery.rounds=1"],
    "dropout": ["model.dropout=0.3", "loss.name=softmax_bce", "optimizer.lr=1.0"],
}


@pytest.mark.parametrize("name", COMBINATIONS)
def test_combinations_train_and_go_on_after_a_stop_to_the_bit(
    make_runs: MakeRuns, train: Train, name: str
) -> None:
    (whole,) = make_runs(*COMBINATIONS[name], toml=TOML, name="whole")
    (halved,) = make_runs(*COMBINATIONS[name], toml=TOML, name="halved")
    done = train(whole)
    assert done["state"] == "finished", done["reason"]
    losses = [row["train/loss"] for row in read_rows(whole.metrics)[0] if "train/loss" in row]
    assert losses[-1] < 0.9 * losses[0]
    stopped = train(halved, StopAfter(9))
    assert stopped["state"] == "stopped"
    folders.update_submit(halved, attempt=2)
    again = train(halved)
    assert again["state"] == "finished", again["reason"]
    assert again["metrics"] == done["metrics"]


class StopAfter(list[int]):
    """A stop flag that is raised once it has been looked at so often: once a step."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    def __bool__(self) -> bool:
        self.looks -= 1
        return self.looks < 0


def test_input_mixup_is_one_of_its_layers_and_nothing_is_mixed_at_alpha_0(
    make_runs: MakeRuns, train: Train
) -> None:
    ends = {}
    for name, assignments in {
        "plain": ["methods.manifold_mixup=false"],
        "alpha 0": ["methods.manifold_mixup.alpha=0"],
        "input": ['methods.manifold_mixup.layers=["input"]'],
        "hidden": ['methods.manifold_mixup.layers=["layer1", "layer2"]'],
    }.items():
        (run,) = make_runs(*assignments, toml=TOML, name=name.replace(" ", ""))
        ends[name] = train(run)["metrics"]["test/nll"]
    assert ends["plain"] == ends["alpha 0"]
    assert len(set(ends.values())) == 3


def test_what_it_cannot_act_in_is_refused(make_runs: MakeRuns, train: Train) -> None:
    with pytest.raises(UserError, match='"least_squares" takes none that it could act in'):
        make_runs("methods.least_squares=true", toml=TOML)
    (run,) = make_runs('methods.manifold_mixup.layers=["layr1"]', toml=TOML)
    result = json.loads(json.dumps(train(run)))
    assert result["state"] == "failed"
    assert 'no layer "layr1"' in result["reason"]
    assert "layer1" in result["reason"]
