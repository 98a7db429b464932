"""Alignment of input gradients, picking of models, whitening: the worked examples of teney2022."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import nn

from imbtui.datasets.collages import collage, drawn_positions, subsampled
from imbtui.methods.diversity import ParallelModels
from imbtui.numerics.gradient_alignment import (
    Alignment,
    alignment_penalty,
    alignments,
    input_gradients,
    top_scores,
)
from imbtui.numerics.model_selection import picked, working
from imbtui.numerics.whitening import fit_whitening

GRADIENTS = torch.tensor(
    [[[1.0, 2.0, 0.0], [0.0, 1.0, 1.0]], [[2.0, -1.0, 0.0], [0.0, 3.0, 4.0]]], dtype=torch.float64
)


@pytest.mark.parametrize(
    ("kind", "each", "mean"),
    [
        ("dot", [0, 7], 3.5),
        ("dot_sq", [0, 49], 24.5),
        ("cos", [0, 0.989949], 0.494975),
        ("cos_sq", [0, 0.98], 0.49),
        ("cos_abs", [0, 0.989949], 0.494975),
    ],
)
def test_first_worked_example(kind: Alignment, each: list[float], mean: float) -> None:
    """teney2022 §Worked examples, 1."""
    between = alignments(GRADIENTS, kind)[0, 1]
    torch.testing.assert_close(between, torch.tensor(each, dtype=torch.float64), atol=1e-6, rtol=0)
    assert alignment_penalty(GRADIENTS, kind).item() == pytest.approx(mean, abs=1e-6)
    opposed = alignments(torch.cat([GRADIENTS[:1], -GRADIENTS[:1]]), kind)[0, 1]
    assert bool((opposed < 0).all()) == (kind in ("dot", "cos"))


@pytest.mark.parametrize("kind", ["dot", "dot_sq", "cos", "cos_sq", "cos_abs"])
def test_penalties_can_be_differentiated(kind: Alignment) -> None:
    generator = torch.Generator().manual_seed(0)
    gradients = torch.randn(3, 4, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: alignment_penalty(v, kind), [gradients])
    # A model that has lost all its units must not spoil the others.
    dead = torch.cat([torch.zeros(1, 4, 5).double(), gradients.detach()]).requires_grad_()
    alignment_penalty(dead, kind).backward()
    assert dead.grad is not None
    assert bool(dead.grad.isfinite().all())


def test_a_single_model_is_aligned_with_none() -> None:
    assert alignment_penalty(GRADIENTS[:1], "cos_sq").item() == 0


def test_the_score_of_two_classes_is_that_of_a_single_logit() -> None:
    """teney2022 §Method: sign(z) dz/dh."""
    z = torch.tensor([-2.0, 3.0], dtype=torch.float64, requires_grad=True)
    scores = top_scores(torch.stack([torch.zeros_like(z), z], -1))
    (gradient,) = torch.autograd.grad(scores.sum(), z)
    assert gradient.tolist() == [-1.0, 1.0]
    assert top_scores(torch.tensor([[1.0, 5.0, 2.0]])).tolist() == [5.0]


def test_one_backward_pass_gives_every_models_own_gradients() -> None:
    torch.manual_seed(0)
    networks = [nn.Sequential(nn.Flatten(), nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 3)) for _ in range(3)]
    models = ParallelModels(list(networks), follow_inputs=True).double()
    x = torch.randn(5, 2, 3, dtype=torch.float64, requires_grad=True)
    models(x)
    gradients = models.take_gradients()
    torch.testing.assert_close(gradients.detach(), input_gradients(models.eval()(x), x))
    # They reach the weights: the penalty trains.
    alignment_penalty(gradients, "cos_sq").backward()
    assert all(bool(network[1].weight.grad.any()) for network in networks)


def test_second_worked_example() -> None:
    """teney2022 §Worked examples, 2: MNIST, CIFAR, Fashion, SVHN."""
    blocks = np.stack([np.full((1, 2, 2), value) for value in (1, 2, 3, 4)], axis=1)
    image = collage(blocks)
    assert image.tolist() == [[[1, 1, 3, 3], [1, 1, 3, 3], [2, 2, 4, 4], [2, 2, 4, 4]]]
    assert subsampled(image, 2).tolist() == [[[1, 3], [2, 4]]]
    assert collage(blocks[:, :2]).tolist() == [[[1, 1], [1, 1], [2, 2], [2, 2]]]


def test_tiles_follow_the_label_or_show_either_class() -> None:
    pool = np.array([0] * 10 + [1] * 20)
    labels = np.tile([0, 1], 8)
    rng = np.random.default_rng(0)
    shown = drawn_positions(pool, labels, 16, rng, replace=False)
    assert pool[shown].tolist() == labels.tolist()
    assert len(set(shown.tolist())) == 16
    either = drawn_positions(pool, None, 3000, rng, replace=True)
    assert pool[either].mean() == pytest.approx(2 / 3, abs=0.03)
    assert len(drawn_positions(pool, None, 31, rng, replace=False)) == 31


def test_rules_of_selection() -> None:
    """teney2022 §Model selection: two sets, three models."""
    accuracy = torch.tensor([[0.9, 0.5, 0.7], [0.4, 0.8, 0.7]])
    assert picked(accuracy, accuracy).tolist() == pytest.approx([0.9, 0.8])
    assert picked(accuracy, accuracy.mean(0)).tolist() == pytest.approx([0.7, 0.7])
    assert picked(accuracy, torch.tensor([0.99, 1.0, 0.98])).tolist() == pytest.approx([0.5, 0.8])
    assert picked(accuracy, torch.tensor([[1.0, 0, 0], [0, 0, 1.0]])).tolist() == pytest.approx([0.9, 0.7])
    assert working(torch.tensor([0.79, 0.8, 1.0]), 0.8).tolist() == [False, True, True]
    assert working(torch.tensor([0.5, 0.6]), 0.8).tolist() == [True, True]


def test_whitening_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 2, 3)) * [1, 2, 5]
    whiten = fit_whitening(x, 4)
    found = whiten(x)
    expected = PCA(4, whiten=True, svd_solver="full").fit_transform(x.reshape(50, -1))
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-5)
    np.testing.assert_allclose(np.cov(found.T), np.eye(4), atol=1e-5)
    with pytest.raises(ValueError, match="7 directions"):
        fit_whitening(x, 7)
    with pytest.raises(ValueError, match="3 directions"):
        fit_whitening(np.outer(np.arange(9.0), [1, 2, 3]), 3)
