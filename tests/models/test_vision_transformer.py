"""The vision transformer: its size, that it sees where patches lie, and what it refuses."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch

from imbtui.engine.heads import make_head
from imbtui.engine.layers import places_in
from imbtui.errors import UserError
from imbtui.models.vision_transformer import VisionTransformer

HEAD: Any = partial(make_head, "linear", num_classes=10)


def small(**options: Any) -> VisionTransformer:
    torch.manual_seed(0)
    return VisionTransformer((1, 8, 8), HEAD, **{"layers": 2, "width": 16, "heads": 4} | options)


def test_size_of_the_papers_network() -> None:
    """Patches, 65 positions, the class token, twelve blocks, the last norm and the head."""
    block = 4 * 384**2 + 2 * 4 * 384**2 + (3 + 1 + 4 + 1) * 384 + 4 * 384
    expected = (48 + 1) * 384 + 65 * 384 + 384 + 12 * block + 2 * 384 + 3850
    model = VisionTransformer((3, 32, 32), HEAD)
    assert sum(p.numel() for p in model.parameters()) == expected == 21_342_346


def test_every_patch_is_seen_and_told_apart_by_its_place() -> None:
    model = small().eval()
    x = torch.rand(3, 1, 8, 8, requires_grad=True)
    features = model.features(x)
    assert features.shape == (3, 16)
    (gradient,) = torch.autograd.grad(features.square().sum() + features.sum() * 0.3, x)
    assert (gradient.abs().amax((0, 1)).view(2, 4, 2, 4).amax((1, 3)) > 0).all()
    swapped = x.roll(4, -1)
    assert not torch.allclose(model(x), model(swapped), atol=1e-6)
    with torch.no_grad():
        model.positions.zero_()
    torch.testing.assert_close(model(x), model(swapped))
    assert {"block1", "block2", "features"} <= places_in(model).keys()


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UserError, match="patches of 3"):
        small(patch=3)
    with pytest.raises(UserError, match="5 heads cannot share"):
        small(heads=5)
    with pytest.raises(UserError, match="needs images"):
        VisionTransformer((64,), HEAD)
