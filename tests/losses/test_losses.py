"""For every loss what the engine relies on."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from imbtui import plugins

COUNTS = [100, 10, 1, 0]
WITHOUT_EMPTY = {"cdt", "vs", "balanced_softmax"}
TWO_CLASSES = {"binary_vs", "group_vs"}


@pytest.fixture(params=plugins.names("loss"))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def classes(name: str) -> int:
    return 2 if name in TWO_CLASSES else 3 if name in WITHOUT_EMPTY else 4


@pytest.fixture
def loss(name: str, classes: int) -> nn.Module:
    return plugins.load("loss", name)(torch.tensor(COUNTS[:classes]))


def some(
    classes: int, dtype: torch.dtype = torch.float32, scale: float = 1.0, n: int = 6
) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(n, classes, generator=generator, dtype=dtype)
    return scale * logits, torch.arange(n) % classes


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_one_value_a_sample_in_the_same_precision(loss: nn.Module, classes: int, dtype: torch.dtype) -> None:
    logits, targets = some(classes, dtype)
    losses = loss(logits, targets)
    assert losses.shape == (6,)
    assert losses.dtype == dtype
    alone = torch.cat([loss(logits[i : i + 1], targets[i : i + 1]) for i in range(6)])
    torch.testing.assert_close(alone, losses)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_same_on_a_gpu(loss: nn.Module, classes: int) -> None:
    logits, targets = some(classes, torch.float64)
    expected = loss(logits, targets)
    torch.testing.assert_close(loss.cuda()(logits.cuda(), targets.cuda()).cpu(), expected)


def test_gradient(loss: nn.Module, classes: int) -> None:
    logits, targets = some(classes, torch.float64)
    assert torch.autograd.gradcheck(lambda z: loss(z, targets), logits.requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_finite_for_extreme_logits(loss: nn.Module, classes: int, dtype: torch.dtype) -> None:
    rows = [[1e4, -1e4, 0, 0], [-1e4, 1e4, 0, 0], [1e4] * 4, [-1e4] * 4, [0.0] * 4]
    logits = torch.tensor(rows, dtype=dtype)[:, :classes].repeat_interleave(classes, 0).requires_grad_()
    losses = loss(logits, torch.arange(classes).repeat(5))
    assert losses.isfinite().all()
    losses.sum().backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_the_same_for_members_stacked_by_vmap(loss: nn.Module, classes: int) -> None:
    logits, targets = some(classes, n=12)
    members = torch.vmap(lambda z, y: loss(z, y))(logits.view(3, 4, classes), targets.view(3, 4))
    torch.testing.assert_close(members.ravel(), loss(logits, targets))


def test_state_moves_with_the_module(loss: nn.Module) -> None:
    """Whatever a loss keeps of the class counts must follow it to another device."""
    assert all(value.device.type == "meta" for value in loss.to("meta").state_dict().values())
    assert not any(isinstance(value, Tensor) for value in vars(loss).values())
