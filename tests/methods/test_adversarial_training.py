"""Adversarial training: what is attacked, in which units, and how both halves of the loss are weighted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from imbtui.engine.batch import Batch
from imbtui.engine.context import MethodContext
from imbtui.engine.objective import Objective
from imbtui.engine.pixels import PixelScale
from imbtui.engine.tick import Tick
from imbtui.errors import UserError
from imbtui.losses.cross_entropy import CrossEntropy
from imbtui.methods.adversarial_training import AdversarialTraining
from imbtui.metrics import read_rows, series
from imbtui.paths import RunPaths

MakeRuns = Callable[..., list[RunPaths]]
Train = Callable[..., dict[str, Any]]
T = Tick("train", 3, 10, 50)
FGSM = {"steps": 1, "step": 1.0, "random_start": False, "bounds": []}
TOML = """
title = "under attack"
[dataset]
name = "digits"
[model]
name = "mlp"
hidden = [64]
[optimizer]
lr = 0.1
momentum = 0.9
[train]
epochs = 20
batch_size = 64
threads = 1
[[probes]]
name = "adversarial_accuracy"
eps = [0.1]
"""


def batch_of(n: int = 8) -> Batch:
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(n) % 3
    return Batch(
        x=torch.rand(n, 4, generator=generator, dtype=torch.float64),
        y=y,
        index=torch.arange(n),
        clean_targets=y,
        is_corrupted=torch.zeros(n, dtype=torch.bool),
    )


def context_of(model: nn.Module, **changes: Any) -> MethodContext:
    return MethodContext(
        model=model,
        make_model=lambda seed, plain_head=False: model,
        input_shape=(4,),
        num_classes=3,
        class_counts=torch.tensor([3, 3, 2]),
        examples={},
        batches=lambda split: (),
        whole=lambda split: batch_of(),
        seed=0,
        device=torch.device("cpu"),
        runs=Path("runs"),
        loss=CrossEntropy(torch.ones(3)),
        epoch=lambda number: (),
        **changes,
    )


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)).double()


def attacked(method: AdversarialTraining, batch: Batch, model: nn.Module, **changes: Any) -> Batch:
    method.setup(context_of(model, **changes))
    with method.around_step(batch, T) as given:
        assert given is not None
    return given


def test_one_step_on_a_linear_network_follows_the_sign_of_its_weights() -> None:
    """With two classes the loss's gradient is a positive multiple of w_other - w_own."""
    model = nn.Linear(4, 2).double()
    batch = replace(batch_of(), y=torch.arange(8) % 2)
    given = attacked(AdversarialTraining(eps=0.1, **FGSM), batch, model)
    own, other = model.weight.detach()[batch.y], model.weight.detach()[1 - batch.y]
    torch.testing.assert_close(given.x, batch.x + 0.1 * (other - own).sign())
    assert torch.equal(given.y, batch.y)
    assert model.weight.grad is None, "an attack leaves no gradients behind"


def test_the_ball_is_one_of_pixels_and_keeps_within_their_bounds() -> None:
    mean, std = torch.full((4,), 0.3, dtype=torch.float64), torch.full((4,), 0.2, dtype=torch.float64)
    scale, batch = PixelScale(mean, std), batch_of()
    inputs = replace(batch, x=scale.inputs(batch.x))
    given = attacked(AdversarialTraining(eps=0.2), inputs, network(), pixels=scale)
    moved = scale.pixels(given.x)
    assert (moved - batch.x).abs().max() <= 0.2 + 1e-12
    assert moved.min() >= -1e-12
    assert moved.max() <= 1 + 1e-12
    assert (moved - batch.x).abs().max() > 0.1
    balls = attacked(AdversarialTraining(eps=0.2, norm="l2", bounds=[]), batch, network())
    assert ((balls.x - batch.x).norm(dim=1) <= 0.2 + 1e-12).all()


def test_langevin_search_leads_away_from_the_prediction_and_not_from_the_label() -> None:
    """arpit2017 §4.4: labels play no role."""
    method = AdversarialTraining(attack="lass", eps=0.1, steps=20)
    batch, model = batch_of(), network()
    given = attacked(method, batch, model)
    assert (given.x - batch.x).abs().max() <= 0.1 + 1e-12
    relabelled = replace(batch, y=(batch.y + 1) % 3)
    assert torch.equal(attacked(method, relabelled, model).x, given.x)
    model.eval()
    predicted = model(batch.x).argmax(1)
    losses = [F.cross_entropy(model(x), predicted) for x in (batch.x, given.x)]
    assert losses[1] > losses[0]


@pytest.mark.parametrize("normalise", ["batch", "weights"])
def test_the_loss_is_shared_between_the_batch_and_its_attacked_copy(normalise: str) -> None:
    model, batch = network(), batch_of()
    method = AdversarialTraining(eps=0.1, weight=0.3, **FGSM)
    method.setup(context_of(model))
    objective = Objective(model, CrossEntropy(torch.ones(3)), [method], normalise=normalise).train()
    before = model[1].running_mean.clone()
    with method.around_step(batch, T) as given:
        assert given is not None
        assert torch.equal(model[1].running_mean, before), "the attack runs in evaluation mode"
        assert model.training
        assert torch.equal(given.x[:8], batch.x)
        total, logs = objective(given, T)
    assert len(given) == 16
    model[1].running_mean.copy_(before)
    logits = model(given.x)
    losses = F.cross_entropy(logits, given.y, reduction="none")
    torch.testing.assert_close(total, 0.7 * losses[:8].mean() + 0.3 * losses[8:].mean())
    wrong = (logits[8:].argmax(1) != batch.y).float().mean()
    torch.testing.assert_close(logs["adversarial_error"], wrong)
    assert method.weights(batch, losses[:8], T) is None, "the next step begins anew"


def test_labels_that_were_mixed_before_are_refused(make_runs: MakeRuns, train: Train) -> None:
    attack = "methods.adversarial_training.weight=0.5"
    mixup = "methods.manifold_mixup=true"
    (run,) = make_runs(mixup, attack, "train.epochs=1", toml=TOML)
    assert "List adversarial_training first" in train(run)["reason"]
    (run,) = make_runs(attack, mixup, "train.epochs=1", toml=TOML)
    assert train(run)["state"] == "finished"


def test_tokens_and_standardised_images_are_refused() -> None:
    with pytest.raises(UserError, match="tokens"):
        AdversarialTraining().setup(context_of(network(), vocabulary=7))
    with pytest.raises(UserError, match="no common unit of pixels"):
        AdversarialTraining().setup(context_of(network(), pixels=None))
    with pytest.raises(UserError, match="boxes and no balls"):
        AdversarialTraining(attack="lass", norm="l2")
    with pytest.raises(UserError, match="smaller one first"):
        AdversarialTraining(bounds=[1.0, 0.0])


def test_it_makes_a_network_robust(make_runs: MakeRuns, train: Train) -> None:
    robust: list[float] = []
    for assignments in ([], ["methods.adversarial_training={eps = 0.1, steps = 5}"]):
        (run,) = make_runs(*assignments, toml=TOML)
        metrics = train(run)["metrics"]
        robust.append(metrics["adversarial_accuracy/pgd_0.1"])
    assert robust[1] > robust[0] + 0.1
    errors = series(read_rows(run.metrics)[0], "running/adversarial_error").values
    assert errors[-1] < errors[0]
