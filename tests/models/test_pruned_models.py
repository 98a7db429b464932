"""Networks of frankle2019: the weights they have, and which of them the paper prunes."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from imbtui import plugins
from imbtui.engine.heads import make_head
from imbtui.methods._masks import is_part, prunable_layers
from imbtui.numerics.pruning import remaining_counts


def network(name: str, **options: float) -> nn.Module:
    with torch.device("meta"):
        return plugins.load("model", name)(
            (3, 32, 32), partial(make_head, "linear", num_classes=10), **options
        )


def weights(model: nn.Module, *, conv: bool) -> int:
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d if conv else nn.Linear)]
    return sum(layer.weight.numel() for layer in layers)


@pytest.mark.parametrize(
    ("name", "conv", "dense"),
    [
        ("conv2", 38_592, 4_262_400),
        ("conv4", 259_776, 2_165_248),
        ("conv6", 1_144_512, 1_116_672),
        ("resnet20_lth", 267_696 + 2_560, 640),
        ("vgg19", 20_018_880, 5_120),
    ],
)
def test_weights(name: str, conv: int, dense: int) -> None:
    """frankle2019 §4."""
    model = network(name)
    assert (weights(model, conv=True), weights(model, conv=False)) == (conv, dense)
    assert sum(layer.weight.numel() for layer in prunable_layers(model)) == conv + dense


def test_what_the_paper_does_not_prune_has_the_names_it_is_excluded_by() -> None:
    layers = prunable_layers(network("resnet20_lth"))
    sizes = {
        part: sum(layer.weight.numel() for layer in layers if is_part(part, layer.name))
        for part in ("shortcut", "head")
    }
    assert sizes == {"shortcut": 2_560, "head": 640}
    assert [layer.name for layer in prunable_layers(network("vgg19")) if is_part("head", layer.name)] == [
        "head"
    ]


@pytest.mark.parametrize(
    ("pruned", "kept", "levels"),
    [
        (267_696, 3_200, {4: 41.7, 6: 27.1, 7: 21.9, 10: 11.8}),
        (20_018_880, 5_120, {12: 6.9, 15: 3.5, 19: 1.5}),
    ],
    ids=["ResNet-18", "VGG-19"],
)
def test_global_rounds_leave_the_shares_that_the_paper_names(
    pruned: int, kept: int, levels: dict[int, float]
) -> None:
    """frankle2019 §5: 20 % of the convolutions a round."""
    left = remaining_counts(pruned, 0.2, max(levels))
    assert {n: round(100 * (left[n] + kept) / (pruned + kept), 1) for n in levels} == levels


@pytest.mark.parametrize("name", ["conv2", "conv4", "conv6"])
def test_dropout_keeps_the_weights(name: str) -> None:
    plain, dropped = network(name), network(name, dropout=0.5)
    assert sum(p.numel() for p in plain.parameters()) == sum(p.numel() for p in dropped.parameters())
    assert sum(isinstance(m, nn.Dropout) for m in dropped.modules()) == 2


def test_init_is_gaussian_glorot() -> None:
    torch.manual_seed(0)
    model = plugins.load("model", "conv4")((3, 32, 32), partial(make_head, "linear", num_classes=10))
    conv = model.body[2].weight
    assert conv.std().item() == pytest.approx((2 / (2 * 64 * 9)) ** 0.5, rel=0.02)
    assert not any(p.any() for p in model.parameters() if p.dim() == 1)
