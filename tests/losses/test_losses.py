"""For every loss what the engine relies on."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from imbtui import plugins

COUNTS = torch.tensor([100, 10, 1, 0])


@pytest.fixture(params=plugins.names("loss"))
def loss(request: pytest.FixtureRequest) -> nn.Module:
    return plugins.load("loss", request.param)(COUNTS)


def some(dtype: torch.dtype = torch.float32, scale: float = 1.0, n: int = 6) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return scale * torch.randn(n, 4, generator=generator, dtype=dtype), torch.arange(n) % 4


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_one_value_a_sample_in_the_same_precision(loss: nn.Module, dtype: torch.dtype) -> None:
    logits, targets = some(dtype)
    losses = loss(logits, targets)
    assert losses.shape == (6,)
    assert losses.dtype == dtype
    alone = torch.cat([loss(logits[i : i + 1], targets[i : i + 1]) for i in range(6)])
    torch.testing.assert_close(alone, losses)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_same_on_a_gpu(loss: nn.Module) -> None:
    logits, targets = some(torch.float64)
    expected = loss(logits, targets)
    torch.testing.assert_close(loss.cuda()(logits.cuda(), targets.cuda()).cpu(), expected)


def test_gradient(loss: nn.Module) -> None:
    logits, targets = some(torch.float64)
    assert torch.autograd.gradcheck(lambda z: loss(z, targets), logits.requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_finite_for_extreme_logits(loss: nn.Module, dtype: torch.dtype) -> None:
    rows = [[1e4, -1e4, 0, 0], [-1e4, 1e4, 0, 0], [1e4] * 4, [-1e4] * 4, [0.0] * 4]
    logits = torch.tensor(rows, dtype=dtype).repeat_interleave(4, 0).requires_grad_()
    losses = loss(logits, torch.arange(4).repeat(5))
    assert losses.isfinite().all()
    losses.sum().backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_the_same_for_members_stacked_by_vmap(loss: nn.Module) -> None:
    logits, targets = some(n=12)
    members = torch.vmap(lambda z, y: loss(z, y))(logits.view(3, 4, 4), targets.view(3, 4))
    torch.testing.assert_close(members.ravel(), loss(logits, targets))


def test_state_moves_with_the_module(loss: nn.Module) -> None:
    """Whatever a loss keeps of the class counts must follow it to another device."""
    assert all(value.device.type == "meta" for value in loss.to("meta").state_dict().values())
    assert not any(isinstance(value, Tensor) for value in vars(loss).values())
