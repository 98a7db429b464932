"""The networks of the imbalance papers: the linear model, byrd2019's, torchvision's ResNets."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from imbtui.engine.heads import CosineHead, make_head
from imbtui.errors import UserError
from imbtui.models.byrd_cnn import ByrdCNN
from imbtui.models.imagenet_resnet import ImageNetResNet
from imbtui.models.linear import Linear

HEAD: Any = partial(make_head, "linear", num_classes=2)


def layers(model: nn.Module, kind: type[nn.Module]) -> list[Any]:
    return [layer for layer in model.modules() if isinstance(layer, kind)]


def test_byrd_cnn_is_the_papers() -> None:
    """byrd2019 §4: 2,048 values before the dense layers."""
    model = ByrdCNN((3, 32, 32), HEAD)
    assert [layer.out_channels for layer in layers(model, nn.Conv2d)] == [64, 64, 128, 128, 128]
    assert [layer.in_features for layer in layers(model, nn.Linear)] == [2048, 512, 128]
    assert not layers(model, nn.Dropout)
    convolutions = 9 * (3 * 64 + 64 * 64 + 64 * 128 + 2 * 128 * 128) + 2 * 64 + 3 * 128
    dense = 2048 * 512 + 512 + 512 * 128 + 128 + 128 * 2 + 2
    assert sum(p.numel() for p in model.parameters()) == convolutions + dense


def test_byrd_cnn_switches() -> None:
    model = ByrdCNN((3, 32, 32), HEAD, dropout=0.5, batch_norm=True)
    assert len(layers(model, nn.Dropout)) == 2
    assert len(layers(model, nn.BatchNorm2d)) == 5
    assert len(layers(model, nn.BatchNorm1d)) == 2


def test_byrd_cnn_pads_small_images() -> None:
    assert ByrdCNN((1, 19, 19), HEAD)(torch.zeros(2, 1, 19, 19)).shape == (2, 2)
    assert ByrdCNN((1, 20, 20), HEAD)(torch.zeros(2, 1, 20, 20)).shape == (2, 2)
    assert layers(ByrdCNN((1, 20, 20), HEAD), nn.Conv2d)[0].padding == (0, 0)
    for shape, options in (((1, 19, 19), {"padding": 0}), ((1, 2, 2), {}), ((4,), {})):
        with pytest.raises(UserError, match="larger images"):
            ByrdCNN(shape, HEAD, **options)


def test_imagenet_resnet_is_torchvisions() -> None:
    from torchvision.models import resnet18

    model = ImageNetResNet((3, 64, 64), partial(make_head, "linear", num_classes=1000))
    assert sum(p.numel() for p in model.parameters()) == sum(p.numel() for p in resnet18().parameters())
    with pytest.raises(UserError, match="grey or colour"):
        ImageNetResNet((5, 64, 64), HEAD)


def test_weights_that_cannot_be_fetched_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision import models

    def offline(**options: Any) -> nn.Module:
        raise OSError("no route to host")

    monkeypatch.setattr(models, "resnet50", offline)
    with pytest.raises(UserError, match="could not be fetched: no route"):
        ImageNetResNet((3, 64, 64), HEAD, depth=50, pretrained=True)


def test_linear_options() -> None:
    model = Linear((2, 3), HEAD, bias=False, init="zero")
    assert isinstance(model.head, nn.Linear)
    assert model.head.bias is None
    assert not model(torch.randn(4, 2, 3)).any()
    assert list(model.state_dict()) == ["head.weight"]
    zero = Linear((6,), HEAD, init="zero").head
    assert isinstance(zero, nn.Linear)
    assert not zero.bias.any()
    cosine = Linear((6,), partial(make_head, "cosine", num_classes=2), bias=False, init="zero").head
    assert isinstance(cosine, CosineHead)
    assert cosine.weight.any()
