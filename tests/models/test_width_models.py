"""Networks that are swept over their width (nakkiran2019 §4)."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from imbtui import plugins
from imbtui.engine.heads import make_head
from imbtui.models.resnet18k import PreActivationBlock


def network(name: str, width: int, shape: tuple[int, ...] = (3, 32, 32)) -> nn.Module:
    return plugins.load("model", name)(shape, partial(make_head, "linear", num_classes=10), width=width)


@pytest.mark.parametrize(
    ("name", "width", "count"),
    [
        ("resnet18k", 64, 11_171_146),
        ("resnet18k", 8, 176_050),
        ("resnet18k", 2, 11_332),
        ("width_cnn", 64, 1_558_026),
        ("width_cnn", 16, 99_210),
        ("width_cnn", 2, 1_826),
    ],
)
def test_parameter_counts(name: str, width: int, count: int) -> None:
    """nakkiran2019 §4 and §8 D."""
    assert sum(p.numel() for p in network(name, width).parameters()) == count


def test_what_is_left_of_the_image() -> None:
    cnn, resnet = network("width_cnn", 2).eval(), network("resnet18k", 2).eval()
    x = torch.rand(2, 3, 32, 32)
    assert cnn.body(x).shape == (2, 16, 4, 4)
    assert resnet.blocks(resnet.stem(x)).shape == (2, 16, 4, 4)
    # The maximum of 4 x 4 is what max-pooling by 4 leaves.
    torch.testing.assert_close(cnn.features(x), nn.functional.max_pool2d(cnn.body(x), 4).flatten(1))


def test_a_pre_activation_block() -> None:
    torch.manual_seed(0)
    block = PreActivationBlock(4, 8, 2).eval()
    x = torch.randn(2, 4, 6, 6)
    o = block.norm1(x).relu()
    expected = block.conv2(block.norm2(block.conv1(o)).relu()) + block.shortcut(o)
    torch.testing.assert_close(block(x), expected)
    plain = PreActivationBlock(4, 4, 1).eval()
    assert plain.shortcut is None
    for parameter in plain.conv2.parameters():
        nn.init.zeros_(parameter)
    torch.testing.assert_close(plain(x), x)


@pytest.mark.parametrize("name", ["width_mlp", "width_cnn", "resnet18k"])
def test_a_narrow_network_is_no_part_of_a_wide_one(name: str) -> None:
    """nakkiran2019 §7.6; and one width is the same network whatever was drawn before it."""

    def first_weights(width: int) -> torch.Tensor:
        torch.manual_seed(3)
        return next(p for p in network(name, width, (1, 8, 8)).parameters() if p.dim() > 1).flatten()

    narrow, wide = first_weights(4), first_weights(6)
    assert torch.equal(narrow, first_weights(4))
    assert not torch.isin(narrow, wide).any()


def test_width_mlp() -> None:
    model = network("width_mlp", 12, (1, 8, 8))
    assert sum(p.numel() for p in model.parameters()) == 64 * 12 + 12 + 12 * 10 + 10
    deep = plugins.load("model", "width_mlp")(
        (1, 8, 8), partial(make_head, "linear", num_classes=10), width=5, layers=3
    )
    assert [tuple(p.shape) for p in deep.parameters() if p.dim() > 1] == [(5, 64), (5, 5), (5, 5), (10, 5)]
