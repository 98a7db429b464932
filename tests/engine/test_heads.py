"""Heads: the cosine softmax in both forms, dropout in front of a head, and how its weights are drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from imbtui.engine.build import network
from imbtui.engine.heads import CosineHead, LinearHead, cosine_logits, make_head
from imbtui.errors import UserError
from imbtui.paths import RunPaths
from imbtui.recipe import load_study

FEATURES = torch.tensor([[3.0, 4.0], [0.0, 2.0]], dtype=torch.float64)
WEIGHT = torch.tensor([[2.0, 0.0, 1.0], [0.0, 5.0, 1.0]], dtype=torch.float64)
BIAS = torch.tensor([0.1, -0.2, 0.3], dtype=torch.float64)
DIAGONAL = 0.5**0.5


def test_cosine_softmax_of_the_paper() -> None:
    """kornblith2021 §2: cos(h, w) / tau + b."""
    cosines = torch.tensor([[0.6, 0.8, 1.4 * DIAGONAL], [0.0, 1.0, DIAGONAL]], dtype=torch.float64)
    torch.testing.assert_close(cosine_logits(FEATURES, WEIGHT, BIAS, 0.05), cosines / 0.05 + BIAS)
    torch.testing.assert_close(cosine_logits(7 * FEATURES, 3 * WEIGHT, None, 1.0), cosines)


def test_cosine_softmax_as_released() -> None:
    """kornblith2021 §2: only the weights are normalised, and the bias is divided too."""
    projections = torch.tensor([[3.0, 4.0, 7 * DIAGONAL], [0.0, 2.0, 2 * DIAGONAL]], dtype=torch.float64)
    found = cosine_logits(FEATURES, WEIGHT, BIAS, 0.05, as_released=True)
    torch.testing.assert_close(found, (projections + BIAS) / 0.05)


@pytest.mark.parametrize("as_released", [False, True])
def test_cosine_gradient(as_released: bool) -> None:
    inputs = [value.clone().requires_grad_() for value in (FEATURES, WEIGHT, BIAS)]
    assert torch.autograd.gradcheck(
        lambda h, w, b: cosine_logits(h, w, b, 0.5, as_released=as_released), inputs
    )


def test_a_feature_of_zeros_has_a_finite_gradient() -> None:
    features = torch.zeros(1, 2, dtype=torch.float64, requires_grad=True)
    F.cross_entropy(cosine_logits(features, WEIGHT, None, 0.05), torch.tensor([0])).backward()
    assert features.grad is not None
    assert features.grad.isfinite().all()


@pytest.mark.parametrize("kind", ["linear", "cosine"])
def test_dropout_acts_in_training_only_and_scales_what_stays(kind: str) -> None:
    torch.manual_seed(0)
    head = make_head(kind, 400, 3, dropout=0.3)
    assert isinstance(head, LinearHead | CosineHead)
    features = torch.rand(50, 400)
    kept = make_head(kind, 400, 3)
    kept.load_state_dict(head.state_dict())
    torch.testing.assert_close(head.eval()(features), kept(features))
    head.train()
    assert not torch.allclose(head(features), kept(features))
    if kind == "linear":
        many = torch.stack([head(features) for _ in range(300)]).mean(0)
        torch.testing.assert_close(many, kept(features), atol=0.05, rtol=0)


TOML = """
[dataset]
name = "digits"
[model]
name = "mlp"
hidden = [64]
init = "kaiming_normal"
head_std = 0.05
"""


@pytest.fixture
def drawn(tmp_path: Path) -> Callable[..., nn.Module]:
    def draw(*assignments: str, plain_head: bool = False) -> nn.Module:
        (tmp_path / "r.toml").write_text(TOML)
        recipe = load_study(tmp_path / "r.toml", assignments).runs[0].recipe
        torch.manual_seed(0)
        return network(recipe, (1, 8, 8), 200, plain_head=plain_head)

    return draw


@pytest.mark.parametrize("head", ["linear", "cosine", "batch_norm"])
def test_weights_of_a_given_deviation(drawn: Callable[..., nn.Module], head: str) -> None:
    """kornblith2021 §3; a model that draws all of its layers itself does not undo it."""
    model = drawn(f"model.head={head}")
    made = model.head[0] if head == "batch_norm" else model.head
    assert float(made.weight.detach().std()) == pytest.approx(0.05, rel=0.05)
    assert made.bias is None or not made.bias.any()


def test_a_plain_head_leaves_the_rest_as_it_is(drawn: Callable[..., nn.Module]) -> None:
    options = ("model.head=cosine", "model.head_temperature=0.05", "model.head_dropout=0.5")
    init = "model.init=default"  # drawn while the layers are made, the head last
    own, plain = drawn(init, *options), drawn(init, *options, plain_head=True)
    linear = drawn(init)
    assert type(plain.head) is nn.Linear
    torch.testing.assert_close(plain.state_dict(), linear.state_dict())
    torch.testing.assert_close(own.body.state_dict(), plain.body.state_dict())
    assert (own.head.temperature, own.head.bias) == (0.05, None)


def test_options_of_a_cosine_head_need_one(drawn: Callable[..., nn.Module]) -> None:
    with pytest.raises(UserError, match='head_temperature goes with head = "cosine"'):
        drawn("model.head_temperature=0.05")


def test_options_of_the_head_outlive_another_model(
    make_runs: Callable[..., list[RunPaths]],
) -> None:
    (run,) = make_runs("model.name=linear", "model.head_std=0.05")
    assert "head_std = 0.05" in run.recipe.read_text()


def test_a_binary_head_is_one_score_for_two_classes() -> None:
    """Cross-entropy of the logits (0, z) is the sigmoid cross-entropy of z."""
    head = make_head("binary", 2, 2).double()
    logits = head(FEATURES)
    (score,) = logits[:, 1:].T
    assert logits[:, 0].tolist() == [0.0, 0.0]
    targets = torch.tensor([0, 1])
    torch.testing.assert_close(
        F.cross_entropy(logits, targets), F.binary_cross_entropy_with_logits(score, targets.double())
    )
    assert make_head("binary", 4, 2, dropout=0.5)(torch.ones(3, 4)).shape == (3, 2)
    with pytest.raises(UserError, match="two classes apart, and there are 3"):
        make_head("binary", 2, 3)
