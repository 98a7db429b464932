"""Re-weighting and re-sampling by class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from imbtui import plugins
from imbtui.engine.batch import Batch
from imbtui.engine.batches import Order
from imbtui.engine.context import MethodContext
from imbtui.engine.examples import Examples
from imbtui.engine.method import Method
from imbtui.engine.tick import Tick
from imbtui.numerics.class_weights import class_weights

COUNTS = [500, 100, 20, 4]


def train_examples() -> Examples:
    y = np.random.RandomState(0).permutation(np.repeat(np.arange(4), COUNTS))
    return Examples.of(np.zeros((len(y), 1), np.float32), y)


def set_up(name: str, **options: Any) -> Method:
    examples = train_examples()
    method = plugins.load("method", name)(**options)
    method.setup(
        MethodContext(
            model=nn.Linear(1, 4),
            make_model=lambda seed: nn.Linear(1, 4),
            input_shape=(1,),
            num_classes=4,
            class_counts=torch.as_tensor(examples.class_counts(4)),
            examples={"train": examples},
            batches=lambda split: (),
            whole=lambda split: pytest.fail("nothing asks for it"),
            seed=0,
            device=torch.device("cpu"),
            runs=Path("runs"),
            loss=plugins.load("loss", "cross_entropy")(torch.ones(4)),
            epoch=lambda number: (),
        )
    )
    return method


def at(step: int) -> Tick:
    """Return a step of a stage of 10 epochs with 5 steps each."""
    return Tick("train", step, 5, 50)


def batch_of(labels: list[int]) -> Batch:
    y = torch.tensor(labels)
    return Batch(
        x=torch.zeros(len(y), 1),
        y=y,
        index=torch.arange(len(y)),
        clean_targets=y,
        is_corrupted=torch.zeros(len(y), dtype=torch.bool),
    )


@pytest.mark.parametrize(
    ("options", "sizes"),
    [
        ({}, lambda n: (1 - 0.9999**n) / (1 - 0.9999)),
        ({"beta": 0.9}, lambda n: (1 - 0.9**n) / (1 - 0.9)),
        ({"beta": 0.0}, lambda n: 1),
        ({"beta": 1.0}, lambda n: n),
        ({"scheme": "inverse"}, lambda n: n),
    ],
)
def test_weights_of_a_batch(options: dict, sizes: Any) -> None:
    """cao2019 §2.2."""
    raw = np.array([1 / sizes(n) for n in COUNTS])
    expected = raw / raw.sum() * 4
    labels = [0, 3, 3, 1]
    for dtype in (torch.float32, torch.float64):
        losses = torch.ones(4, dtype=dtype)
        weights = set_up("class_weights", **options).weights(batch_of(labels), losses, at(0))
        assert weights is not None
        torch.testing.assert_close(weights, torch.tensor(expected[labels], dtype=dtype))


def test_effective_number_is_not_inverse_frequency() -> None:
    """cao2019 §2.2: for 5000 against 50 the ratio is 78.9, not 100."""
    weights = class_weights(torch.tensor([5000, 50]), beta=0.9999)
    assert (weights[1] / weights[0]).item() == pytest.approx(78.9, abs=0.05)


def test_weights_do_not_cancel_for_beta_near_one() -> None:
    counts = torch.tensor([1000, 10])
    weights = class_weights(counts, beta=1 - 1e-15)
    torch.testing.assert_close(weights, class_weights(counts, scheme="inverse", beta=0.0))


@pytest.mark.parametrize("scheme", ["effective_number", "inverse"])
@pytest.mark.parametrize("beta", [0.0, 0.9999, 1.0])
def test_a_class_without_examples_weighs_nothing(scheme, beta: float) -> None:
    weights = class_weights(torch.tensor([8, 0, 2]), scheme=scheme, beta=beta)
    assert weights[1] == 0
    assert weights.isfinite().all()
    assert weights.sum().item() == pytest.approx(3)


@pytest.mark.parametrize("start", [4, "20it", "40%"])
def test_deferred_to_the_start_epoch(start: int | str) -> None:
    """cao2019 §2.3: all one before the switch (epoch 4 = step 20 = 40 %), weighted from it on."""
    weigh, resample = set_up("class_weights", start_epoch=start), set_up("resample", start_epoch=start)
    train = train_examples()
    for step, on in ((0, False), (19, False), (20, True), (49, True)):
        assert (weigh.weights(batch_of([0]), torch.ones(1), at(step)) is not None) == on
        assert (resample.sampling_weights(train, at(step)) is not None) == on


@pytest.mark.parametrize(
    ("options", "sizes"), [({"scheme": "inverse"}, lambda n: n), ({"beta": 0.99}, lambda n: 1 - 0.99**n)]
)
def test_resampled_labels(options: dict, sizes: Any) -> None:
    """cao2019 §2.3 and §8.1: labels drawn by the engine follow n_j w_j; inverse weights balance them."""
    train = train_examples()
    weights = set_up("resample", **options).sampling_weights(train, at(0))
    assert weights is not None
    assert weights.shape == (len(train),)
    assert weights.dtype == torch.float64
    order = Order(len(train), 64, drop_last=False, seed=0, rank=0, world=1)
    drawn = torch.cat([order.draw(epoch, weights) for epoch in range(20)])
    share = np.bincount(train.targets[drawn.numpy()], minlength=4) / len(drawn)
    expected = np.array([n / sizes(n) for n in COUNTS])
    expected /= expected.sum()
    tolerance = 5 * np.sqrt(expected * (1 - expected) / len(drawn))
    assert (abs(share - expected) < tolerance).all()


def test_class_weights_are_kept_with_the_method() -> None:
    for name in ("class_weights", "resample"):
        assert set(set_up(name).state_dict()) == {"class_weight"}
