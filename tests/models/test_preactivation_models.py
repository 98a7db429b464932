"""The pre-activation networks of verma2019: sizes, and where their stages end."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch

from imbtui.engine.heads import make_head
from imbtui.engine.layers import places_in
from imbtui.models.preact_resnet import PreActResNet
from imbtui.models.resnet18k import ResNet18k
from imbtui.models.wide_resnet import WideResNet

HEAD: Any = partial(make_head, "linear", num_classes=10)


def parameters(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def test_depth_18_is_the_usual_one() -> None:
    """verma2019 §Data and schedules; the same count as in nakkiran2019 §4."""
    small, same = PreActResNet((3, 32, 32), HEAD), ResNet18k((3, 32, 32), HEAD)
    assert parameters(small) == parameters(same) == 11_171_146
    assert small.state_dict().keys() == same.state_dict().keys()


@pytest.mark.parametrize(("depth", "blocks"), [(34, [3, 4, 6, 3]), (50, [3, 4, 6, 3])])
def test_stages_of_deeper_ones(depth: Any, blocks: list[int]) -> None:
    model = PreActResNet((3, 32, 32), HEAD, depth=depth, width=8)
    places = places_in(model)
    ends = [places[f"stage{n}"][0].module for n in (1, 2, 3, 4)]
    assert "stage5" not in places
    assert ends == [model.blocks[sum(blocks[: n + 1]) - 1] for n in range(4)]
    layers = sum(isinstance(m, torch.nn.Conv2d) for n, m in model.named_modules() if "shortcut" not in n)
    assert layers + 1 == depth


def test_wide_resnet_has_the_known_number_of_parameters() -> None:
    assert parameters(WideResNet((3, 32, 32), HEAD, depth=28, widen=2)) == 1_467_610
    small = WideResNet((3, 32, 32), HEAD, depth=10, widen=1).eval()
    assert small(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
