"""Networks on tokens: their sizes, what a position sees, and what they are given."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from imbtui.datasets.modular import OPERATIONS
from imbtui.errors import UserError
from imbtui.models.token_mlp import TokenMLP
from imbtui.models.transformer import Transformer, sinusoidal_positions
from imbtui.paths import RunPaths
from imbtui.recipe import load_study

MakeRuns = Callable[..., list[RunPaths]]
Train = Callable[..., dict[str, Any]]
OFFICIAL = 2 + len(OPERATIONS) + 97 + 120

TOML = """
title = "tokens"
[dataset]
name = "modular"
p = 7
[model]
name = "transformer"
width = 8
heads = 2
[train]
steps = 3
batch_size = 10
threads = 1
"""


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def test_sizes() -> None:
    transformer = Transformer((5,), lambda width: nn.Linear(width, OFFICIAL), OFFICIAL)
    layer = 4 * 128**2 + 2 * 4 * 128**2 + 2 * 2 * 128
    assert parameters(transformer) == 2 * layer + 2 * 128 * OFFICIAL  # 454,144, thilak2022 §3
    assert transformer.head.bias is None
    small = TokenMLP((2,), lambda width: nn.Linear(width, 13), 13)
    assert parameters(small) == 13 * 32 + 64 * 64 + 64 + 64 * 13 + 13


def test_the_embedding_has_the_deviation_of_its_width() -> None:
    torch.manual_seed(0)
    weight = TokenMLP((2,), lambda width: nn.Linear(width, 2), 2000).embedding.weight
    assert float(weight.detach().std()) == pytest.approx(32**-0.5, rel=0.02)


def test_a_position_sees_those_before_it() -> None:
    torch.manual_seed(0)
    model = Transformer((4,), nn.Identity, 9, width=8, heads=2)
    model.head = nn.Identity()
    x = torch.tensor([[1, 2, 3, 4], [5, 2, 3, 4]])
    h = model.embedding(x) + model.positions
    changed = torch.tensor([[1, 2, 3, 8]])
    g = model.embedding(changed) + model.positions
    for layer in model.layers:
        h, g = layer(h, model.future), layer(g, model.future)
    assert torch.allclose(h[0, :3], g[0, :3], atol=1e-6), "later tokens act on nothing before"
    assert not torch.allclose(h[0, 3], h[1, 3]), "earlier ones do"
    assert torch.equal(model(x), h[:, -1])


def test_sinusoids() -> None:
    positions = sinusoidal_positions(3, 4)
    assert positions[0].tolist() == [0, 1, 0, 1]
    expected = [math.sin(2), math.cos(2), math.sin(2 / 100), math.cos(2 / 100)]
    assert positions[2].tolist() == pytest.approx(expected, abs=1e-6)


def test_heads_share_the_width() -> None:
    with pytest.raises(UserError, match=r"model\.heads: 3 heads cannot share a width of 8"):
        Transformer((4,), nn.Identity, 9, width=8, heads=3)


@pytest.mark.parametrize("tokens", ["compact", "official", "pair"])
def test_tokens_reach_the_network(make_runs: MakeRuns, train: Train, tokens: str) -> None:
    (run,) = make_runs(
        f"dataset.tokens={tokens}", "corruptions.label_noise={kind='symmetric', rate=0.1}", toml=TOML
    )
    result = train(run)
    assert result["state"] == "finished", result["reason"]
    assert math.isfinite(result["metrics"]["test/balanced_accuracy"])


def test_a_model_that_takes_no_tokens_is_refused_before_anything_runs(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text(TOML)
    with pytest.raises(UserError, match='model "linear" does not take the tokens') as refused:
        load_study(path, ["model.name=linear"])
    assert "token_mlp, transformer" in str(refused.value.hint)
    with pytest.raises(UserError, match='model "transformer" does not take the numbers'):
        load_study(path, ["dataset.name=digits"])


@pytest.mark.parametrize(
    ("assignment", "reason"),
    [
        ("augmentation.input_noise=0.1", "augmentation: tokens have no scale"),
        ("corruptions.random_inputs=true", "corruptions.random_inputs: tokens cannot be changed"),
    ],
)
def test_tokens_are_not_changed_as_numbers_are(
    make_runs: MakeRuns, train: Train, assignment: str, reason: str
) -> None:
    (run,) = make_runs(assignment, toml=TOML)
    assert reason in train(run)["reason"]
