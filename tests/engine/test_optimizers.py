"""What one step of an optimizer does."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import nn

from imbtui.engine.optim import make_optimizer
from imbtui.recipe.schema import Adam, AdamW


@pytest.mark.parametrize(("eps", "step"), [(1e-8, -1e-3 * 1e-9 / 1.1e-8), (1e-5, -9.999e-8)])
@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_adam_s_epsilon_is_outside_the_root(name: Literal["adam", "adamw"], eps: float, step: float) -> None:
    """thilak2022 §8 B: a gradient far below epsilon moves a weight by far less than the learning rate."""
    spec = (Adam if name == "adam" else AdamW)(name=name, lr=1e-3, betas=[0.9, 0.98], eps=eps)
    weight = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = make_optimizer(spec, [weight])
    weight.grad = torch.full_like(weight, 1e-9)
    optimizer.step()
    assert weight.item() == pytest.approx(step, rel=1e-6)
