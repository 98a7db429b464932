"""Probes: norms of a known network, per-class rates against scikit-learn."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import precision_score, recall_score
from torch import Tensor, nn

from imbtui.engine.batch import Batch, joined
from imbtui.engine.context import ProbeContext
from imbtui.engine.examples import Examples
from imbtui.engine.heads import CosineHead, make_head
from imbtui.engine.objective import Objective
from imbtui.engine.pixels import PixelScale
from imbtui.engine.tick import Tick
from imbtui.errors import UserError
from imbtui.losses.cross_entropy import CrossEntropy
from imbtui.models.mlp import MLP
from imbtui.probes.norms import Norms, class_norms
from imbtui.probes.per_class import PerClass

T = Tick("train", 0, 1, 1)
X = torch.randn(90, 6, generator=torch.Generator().manual_seed(0))
Y = torch.arange(90) % 3


def batch_of(x: Tensor, y: Tensor) -> Batch:
    return Batch(
        x=x, y=y, index=torch.arange(len(y)), clean_targets=y, is_corrupted=torch.zeros_like(y).bool()
    )


def objective_of(model: nn.Module, classes: int = 3) -> Objective:
    return Objective(model, CrossEntropy(torch.ones(classes)), [])


def context_of(model: nn.Module, classes: int = 3) -> ProbeContext:
    def batches(split: str) -> Iterator[Batch]:
        yield from (batch_of(X[i : i + 40], Y[i : i + 40]) for i in range(0, 90, 40))

    return ProbeContext(
        model=model,
        input_shape=(6,),
        num_classes=classes,
        class_counts=torch.full((classes,), 30),
        examples={"test": Examples.of(X.numpy(), Y.numpy())},
        batches=batches,
        whole=lambda split: joined(list(batches(split))),
        seed=0,
        device=torch.device("cpu"),
        runs=Path("runs"),
        batches_of=lambda examples: [
            batch_of(torch.from_numpy(examples.x), torch.from_numpy(examples.targets))
        ],
        keep=lambda name, content: None,
        pixels=PixelScale(),
        beside={},
    )


def small(kind: str = "linear", classes: int = 3, dropout: float = 0.0) -> MLP:
    torch.manual_seed(0)
    return MLP((6,), lambda width: make_head(kind, width, classes), hidden=[5], dropout=dropout)


def test_norms_of_a_step() -> None:
    model = small()
    objective = objective_of(model)
    loss, _ = objective(batch_of(X, Y), T)
    loss.backward()
    values = Norms().measure(objective, batch_of(X, Y), T)
    first, last = model.body[1], model.head
    flat = torch.cat([p.detach().ravel() for p in model.parameters()])
    gradient = torch.cat([p.grad.ravel() for p in model.parameters() if p.grad is not None])
    assert set(values) == {"weights", "gradient", "weight/body.1", "weight/head", "head_class"}
    assert values["weights"] == pytest.approx(flat.norm().item())
    assert values["gradient"] == pytest.approx(gradient.norm().item())
    assert values["weight/body.1"] == pytest.approx(first.weight.norm().item())
    assert values["head_class"] == pytest.approx([row.norm().item() for row in last.weight])


def test_norms_without_gradients_or_a_head() -> None:
    model = nn.Linear(2, 2, bias=False)
    nn.init.constant_(model.weight, 3.0)
    assert Norms().measure(objective_of(model), batch_of(X, Y), T) == {"weights": 6.0, "weight/weight": 6.0}


def test_class_norms_run_over_the_features() -> None:
    """A square head would hide a wrong axis."""
    weight = torch.tensor([[3.0, 0.0], [4.0, 1.0]])
    linear, cosine = nn.Linear(2, 2), CosineHead(2, 2)
    for head in (linear, cosine):
        head.weight.data.copy_(weight)
    torch.testing.assert_close(class_norms(linear), torch.tensor([3.0, math.sqrt(17)]))
    torch.testing.assert_close(class_norms(cosine), torch.tensor([5.0, 1.0]))


def test_norms_find_the_head_inside_a_wrapper() -> None:
    class Wrapper(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = small("cosine")

    values = Norms().measure(objective_of(Wrapper()), batch_of(X, Y), T)
    assert values["head_class"] == pytest.approx([1.0, 1.0, 1.0])


def test_per_class_against_scikit_learn() -> None:
    model = small(dropout=0.5)
    objective = objective_of(model)
    objective.train()
    probe = PerClass()
    probe.setup(context_of(model))
    values = probe.measure(objective, batch_of(X, Y), T)
    assert objective.training
    assert model.training
    model.eval()
    probabilities = model(X).softmax(1).detach()
    predicted = probabilities.argmax(1)
    assert len(set(predicted.tolist())) == 3
    assert values["recall"] == pytest.approx(recall_score(Y, predicted, average=None))
    assert values["precision"] == pytest.approx(precision_score(Y, predicted, average=None))
    confidence = [probabilities[Y.eq(c)].max(1).values.mean().item() for c in range(3)]
    assert values["confidence"] == pytest.approx(confidence, abs=1e-6)


def test_per_class_without_examples_is_nan() -> None:
    model = small(classes=4)
    model.head.bias.data[3] = -1e3
    probe = PerClass()
    probe.setup(context_of(model, classes=4))
    values = probe.measure(objective_of(model, 4), batch_of(X, Y), T)
    for name in ("recall", "precision", "confidence"):
        assert np.isnan(values[name]).tolist() == [False, False, False, True]


def test_per_class_keeps_training_mode_when_the_model_fails() -> None:
    model = small()
    objective = objective_of(model).train()
    probe = PerClass()
    context = context_of(model)
    context.batches = lambda split: [batch_of(torch.zeros(2, 7), Y[:2])]
    probe.setup(context)
    with pytest.raises(RuntimeError):
        probe.measure(objective, batch_of(X, Y), T)
    assert objective.training


def test_per_class_needs_its_split() -> None:
    with pytest.raises(UserError, match='no split "val"'):
        PerClass(split="val").setup(context_of(small()))
