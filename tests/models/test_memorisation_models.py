"""Networks of zhang2017 and arpit2017: published parameter counts, regularisers, initial weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from imbtui.models.arpit_cnn import ArpitCNN
from imbtui.models.mlp import MLP
from imbtui.models.small_alexnet import SmallAlexNet
from imbtui.models.small_inception import SmallInception

CIFAR = (3, 28, 28)


def head(width: int) -> nn.Module:
    return nn.Linear(width, 10)


@pytest.mark.parametrize(
    ("model", "count"),
    [
        (SmallInception(CIFAR, head), 1_649_402),
        (SmallInception(CIFAR, head, batch_norm=False), 1_649_402),
        (SmallAlexNet(CIFAR, head), 1_387_786),
        (MLP(CIFAR, head, hidden=[512]), 1_209_866),
        (MLP(CIFAR, head, hidden=[512, 512, 512]), 1_735_178),
    ],
    ids=["Inception", "Inception without BN", "AlexNet", "MLP 1x512", "MLP 3x512"],
)
def test_parameters_are_the_published_ones(model: nn.Module, count: int) -> None:
    """zhang2017 §3."""
    assert sum(p.numel() for p in model.parameters()) == count


def test_inception_has_no_normalisation_without_batch_norm() -> None:
    norms = [
        sum(isinstance(m, nn.BatchNorm2d) for m in SmallInception(CIFAR, head, batch_norm=b).modules())
        for b in (True, False)
    ]
    assert norms == [1 + 8 * 2 + 2, 0]


def test_inception_takes_the_mean_over_seven_by_seven() -> None:
    body = SmallInception(CIFAR, head).eval().body
    assert body(torch.rand(1, *CIFAR)).shape == (1, 336, 7, 7)


def test_regularisers_act_in_training_alone() -> None:
    """arpit2017 §6.5: they are off where accuracy is measured."""
    torch.manual_seed(0)
    options = {"dropout": 0.5, "input_dropout": 0.2, "hidden_noise": 0.3}
    x = torch.rand(8, 3, 8, 8)
    for name, value in options.items():
        model = ArpitCNN((3, 8, 8), head, **{name: value})
        assert not torch.equal(model(x), model(x)), name
        model.eval()
        assert torch.equal(model(x), model(x)), name
    plain = ArpitCNN((3, 8, 8), head)
    assert torch.equal(plain(x), plain(x))


def test_he_normal_weights_and_zero_biases_on_every_layer() -> None:
    """arpit2017 §8."""
    torch.manual_seed(0)
    model = MLP((1, 8, 8), head, hidden=[512, 512], init="he_normal")
    for layer in (m for m in model.modules() if isinstance(m, nn.Linear)):
        assert float(layer.weight.std()) == pytest.approx((2 / layer.in_features) ** 0.5, rel=0.05)
        assert not layer.bias.any()
