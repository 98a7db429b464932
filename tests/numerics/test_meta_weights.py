"""Weights from gradients: the derivative they are defined by, and what rectifying leaves."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imbtui.numerics.meta_weights import gradient_agreement, rectified_weights


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 3)).double()


def drawn(n: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 3, generator=generator, dtype=torch.float64), torch.arange(n) % 3


def agreement_of(model: nn.Module) -> Tensor:
    (x, y), (x_val, y_val) = drawn(5, 1), drawn(4, 2)
    losses = F.cross_entropy(model(x), y, reduction="none")
    return gradient_agreement(losses, F.cross_entropy(model(x_val), y_val), list(model.parameters()))


def test_it_is_the_derivative_of_the_validation_loss_by_the_share_of_an_example_in_a_step() -> None:
    """Ren et al.: -d L_val(theta - a grad sum_i e_i l_i) / d e_i at e = 0, over a; by central differences."""
    model, step, share = network(), 0.1, 1e-4
    agreement = agreement_of(model)
    (x, y), (x_val, y_val) = drawn(5, 1), drawn(4, 2)
    start = [p.detach().clone() for p in model.parameters()]
    for i in range(5):
        after = []
        for e in (share, -share):
            loss = e * F.cross_entropy(model(x[i : i + 1]), y[i : i + 1])
            gradients = torch.autograd.grad(loss, list(model.parameters()))
            with torch.no_grad():
                for p, g in zip(model.parameters(), gradients, strict=True):
                    p -= step * g
                after.append(F.cross_entropy(model(x_val), y_val))
                for p, old in zip(model.parameters(), start, strict=True):
                    p.copy_(old)
        expected = -(after[0] - after[1]) / (2 * share) / step
        torch.testing.assert_close(agreement[i], expected, rtol=1e-5, atol=1e-8)


def test_parameters_that_do_not_enter_count_nothing() -> None:
    model = network()
    unused = nn.Parameter(torch.ones(2))
    (x, y), (x_val, y_val) = drawn(5, 1), drawn(4, 2)
    losses = F.cross_entropy(model(x), y, reduction="none")
    held_out = F.cross_entropy(model(x_val), y_val)
    found = gradient_agreement(losses, held_out, [*model.parameters(), unused])
    torch.testing.assert_close(found, agreement_of(model))
    assert all(p.grad is None for p in model.parameters()), "nothing is left for the optimizer"


@pytest.mark.parametrize(
    ("agreement", "weights"),
    [([3.0, -1, 1], [2.25, 0, 0.75]), ([-1.0, -2, 0], [0.0, 0, 0]), ([1e-30, 0, 0], [3.0, 0, 0])],
)
def test_rectified(agreement: list[float], weights: list[float]) -> None:
    torch.testing.assert_close(rectified_weights(torch.tensor(agreement)), torch.tensor(weights))
