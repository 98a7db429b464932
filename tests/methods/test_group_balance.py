"""Given weights, weights and sampling by group, and group DRO."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from imbtui import plugins
from imbtui.engine.batch import Batch
from imbtui.engine.context import MethodContext
from imbtui.engine.examples import Examples
from imbtui.engine.method import Method
from imbtui.engine.objective import Objective, reduce_losses
from imbtui.engine.tick import Tick
from imbtui.errors import UserError
from imbtui.losses.cross_entropy import CrossEntropy
from imbtui.methods.group_dro import updated_weights

T = Tick("train", 0, 1, 10)
LABELS = np.repeat([0, 0, 1, 1], [50, 10, 4, 20])
PLACES = np.repeat([0, 1, 0, 1], [50, 10, 4, 20])


def set_up(name: str, *, group: Any = PLACES, **options: Any) -> Method:
    examples = Examples.of(np.zeros((len(LABELS), 1), np.float32), LABELS, group=group)
    method = plugins.load("method", name)(**options)
    method.setup(
        MethodContext(
            model=nn.Linear(1, 2),
            make_model=lambda seed: nn.Linear(1, 2),
            input_shape=(1,),
            num_classes=2,
            class_counts=torch.as_tensor(examples.class_counts(2)),
            examples={"train": examples},
            batches=lambda split: (),
            whole=lambda split: pytest.fail("nothing asks for it"),
            seed=0,
            device=torch.device("cpu"),
            runs=Path("runs"),
            loss=CrossEntropy(torch.ones(2)),
            epoch=lambda number: (),
        )
    )
    return method


def batch_of(labels: list[int], groups: list[int] | None) -> Batch:
    y = torch.tensor(labels)
    return Batch(
        x=torch.zeros(len(y), 1),
        y=y,
        index=torch.arange(len(y)),
        clean_targets=y,
        is_corrupted=torch.zeros(len(y), dtype=torch.bool),
        group=None if groups is None else torch.tensor(groups),
    )


def test_given_weights_have_a_mean_of_one() -> None:
    method = set_up("class_weights", scheme="given", weights=[1, 4])
    found = method.weights(batch_of([0, 1, 1], None), torch.ones(3, dtype=torch.float64), T)
    torch.testing.assert_close(found, torch.tensor([0.4, 1.6, 1.6], dtype=torch.float64))


def test_worked_example_of_importance_weighting() -> None:
    """byrd2019 §8: plain, divided by the batch's sum of weights, and by N with weights of mean one."""
    logits = torch.tensor([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]], dtype=torch.float64)
    targets = torch.tensor([0, 1, 1])
    raw = torch.tensor([1.0, 4.0], dtype=torch.float64)
    batch = batch_of([0, 1, 1], None)
    method = set_up("class_weights", scheme="given", weights=[1, 4])

    def value(normalise: str, weights: torch.Tensor | None) -> tuple[float, torch.Tensor]:
        z = logits.clone().requires_grad_()
        loss = reduce_losses(CrossEntropy(torch.ones(2))(z, targets), weights, normalise)
        loss.backward()
        assert z.grad is not None
        return loss.item(), z.grad

    assert value("batch", None)[0] == pytest.approx(0.377779, abs=1e-6)
    loss, gradient = value("weights", raw[targets])
    assert loss == pytest.approx(0.399285, abs=1e-6)
    expected = [[-0.029882, 0.029882], [0.052979, -0.052979], [0.222222, -0.222222]]
    np.testing.assert_allclose(gradient, expected, atol=1e-6)
    loss, gradient = value("batch", method.weights(batch, torch.ones(3, dtype=torch.float64), T))
    assert loss == pytest.approx(0.479142, abs=1e-6)
    expected = [[-0.035859, 0.035859], [0.063575, -0.063575], [0.266667, -0.266667]]
    np.testing.assert_allclose(gradient, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"scheme": "given"}, "weights go with scheme"),
        ({"weights": [1.0, 2.0]}, "weights go with scheme"),
        ({"scheme": "given", "weights": [0.0, 0.0]}, "one is above 0"),
        ({"scheme": "given", "weights": [1.0, 2.0], "by": "group"}, "given by class"),
        ({"scheme": "given", "weights": [1.0, 2.0, 3.0]}, "3 weights are given for 2 classes"),
    ],
)
def test_weights_that_make_no_sense(options: dict, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        set_up("class_weights", **options)


@pytest.mark.parametrize("group", [PLACES, 2 * LABELS + PLACES], ids=["attribute", "subgroup"])
def test_weights_by_group(group: Any) -> None:
    """kini2021 §11: in proportion to 1 / n_{y,g}, whether or not a group's number tells the label."""
    method = set_up("class_weights", scheme="inverse", by="group", group=group)
    labels, places = [0, 0, 1, 1], [0, 1, 0, 1]
    groups = places if group is PLACES else [2 * y + g for y, g in zip(labels, places, strict=True)]
    found = method.weights(batch_of(labels, groups), torch.ones(4, dtype=torch.float64), T)
    assert found is not None
    expected = 1 / np.array([50, 10, 4, 20])
    np.testing.assert_allclose(found, expected / expected.mean())


def test_sampling_by_group_balances_groups() -> None:
    """kini2021 §2.4: weight n / n_g."""
    method = set_up("resample", scheme="inverse", by="group")
    train = Examples.of(np.zeros((len(LABELS), 1), np.float32), LABELS, group=PLACES)
    weights = method.sampling_weights(train, T)
    assert weights is not None
    mass = np.bincount(2 * LABELS + PLACES, weights=weights.numpy())
    np.testing.assert_allclose(mass / mass.sum(), 0.25)


@pytest.mark.parametrize("name", ["class_weights", "resample"])
def test_by_group_needs_groups(name: str) -> None:
    with pytest.raises(UserError, match="no groups"):
        set_up(name, by="group", group=None)


def test_dro_weights_follow_the_losses() -> None:
    """kini2021 §2.4, by hand."""
    q = torch.tensor([0.5, 0.25, 0.25], dtype=torch.float64)
    losses, sizes = torch.tensor([1.0, 3.0, 0.0]).double(), torch.tensor([100, 25, 4])
    expected = q * (0.5 * losses).exp()
    found = updated_weights(q, losses, sizes, 0.5, torch.zeros(3))
    torch.testing.assert_close(found, expected / expected.sum())
    adjustment = torch.tensor([1.0, 2.0, 3.0]).double()
    expected = q * (0.5 * (losses + torch.tensor([0.1, 0.4, 1.5]))).exp()
    torch.testing.assert_close(updated_weights(q, losses, sizes, 0.5, adjustment), expected / expected.sum())


def test_an_adjustment_counts_only_if_all_are_above_zero() -> None:
    q, sizes = torch.full((2,), 0.5).double(), torch.tensor([100, 4])
    losses = torch.tensor([1.0, 1.0]).double()
    torch.testing.assert_close(updated_weights(q, losses, sizes, 1.0, torch.tensor([0.0, 5.0]).double()), q)


def test_dro_weights_stay_finite_for_extreme_losses() -> None:
    q = torch.full((2,), 0.5).double()
    found = updated_weights(q, torch.tensor([1e6, 0.0]).double(), torch.tensor([1, 1]), 1.0, torch.zeros(2))
    torch.testing.assert_close(found, torch.tensor([1.0, 0.0]).double())


def test_dro_objective_is_the_weighted_sum_of_group_means() -> None:
    method = set_up("group_dro", eta=0.3)
    torch.manual_seed(0)
    model = nn.Linear(1, 2).double()
    objective = Objective(model, CrossEntropy(torch.ones(2)), [method])
    batch = batch_of([0, 0, 1, 0], [0, 0, 1, 0])
    batch = Batch(**{**vars(batch), "x": torch.randn(4, 1, dtype=torch.float64), "terms": ()})
    losses = CrossEntropy(torch.ones(2))(model(batch.x), batch.y).detach()
    means = torch.stack([losses[[0, 1, 3]].mean(), losses[2]])
    expected = (0.5 * (0.3 * means).exp()) / (0.5 * (0.3 * means).exp()).sum()
    loss, _ = objective(batch, T)
    torch.testing.assert_close(method.q, expected)
    torch.testing.assert_close(loss, (expected * means).sum())
    objective.eval()
    objective(batch, T)
    torch.testing.assert_close(method.q, expected)  # q is learnt in training alone


def test_an_absent_group_counts_as_loss_zero() -> None:
    method = set_up("group_dro", eta=1.0)
    losses = torch.full((3,), 2.0, dtype=torch.float64)
    weights = method.weights(batch_of([0, 0, 0], [0, 0, 0]), losses, T)
    share = math.exp(2) / (math.exp(2) + 1)
    torch.testing.assert_close(method.q, torch.tensor([share, 1 - share]).double())
    torch.testing.assert_close(weights, torch.full((3,), share).double())


def test_dro_state_and_refusals() -> None:
    assert set(set_up("group_dro").state_dict()) == {"q", "sizes", "added"}
    assert set_up("group_dro", by="class").q.tolist() == [0.5, 0.5]
    with pytest.raises(UserError, match="no groups"):
        set_up("group_dro", group=None)
    with pytest.raises(UserError, match="3 adjustments are given for 2 groups"):
        set_up("group_dro", adjustment=[1.0, 2.0, 3.0])
