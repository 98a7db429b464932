"""Random features, Laplace covariance, mean field and the spectral bound: the worked examples of liu2020."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from imbtui.methods._spectral_norm import SoftSpectralNorm, operator_of
from imbtui.numerics.gaussian_process import (
    class_precisions,
    factor_of,
    feature_precision,
    mean_field_logits,
    moving_precision,
    predictive_variance,
    random_directions,
    random_fourier_features,
)
from imbtui.numerics.ood import class_probabilities, dempster_shafer, doubt, true_negative_rate
from imbtui.numerics.spectral_norm import largest_singular_value, power_iteration, soft_bound


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def float64(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize(
    ("variance", "logits", "first"),
    [(0, (2, -1), 0.952574), (1, (1.694733, -0.847367), 0.927041), (8, (0.982757, -0.491379), 0.813685)],
)
def test_mean_field_logits(variance: float, logits: tuple[float, float], first: float) -> None:
    z = mean_field_logits(float64([[2, -1]]), float64([variance]), math.pi / 8)
    assert z[0].tolist() == pytest.approx(logits, abs=1e-6)
    assert class_probabilities(z)[0, 0].item() == pytest.approx(first, abs=1e-6)
    assert mean_field_logits(float64([[2, -1]]), float64([variance]), -1).tolist() == [[2, -1]]


def test_variance_with_the_ridge_as_a_factor() -> None:
    phi = float64([[1, 0], [1, 1]])
    precision = feature_precision(phi)
    assert precision.tolist() == [[2, 1], [1, 1]]
    factor = factor_of(precision, 0.5)
    covariance = torch.cholesky_inverse(factor)
    expected = [[0.545455, -0.363636], [-0.363636, 0.909091]]
    assert torch.allclose(covariance, float64(expected), rtol=0, atol=1e-6)
    variance = predictive_variance(float64([[1, 0], [0, 2]]), factor, 0.5)
    assert variance.tolist() == pytest.approx([0.272727, 1.818182], abs=1e-6)


def test_without_data_the_variance_is_that_of_the_prior() -> None:
    phi = torch.randn(5, 7, generator=seeded(), dtype=torch.float64)
    variance = predictive_variance(phi, factor_of(torch.zeros(7, 7, dtype=torch.float64), 1e-6), 1e-6)
    assert variance.tolist() == pytest.approx(phi.square().sum(1).tolist(), rel=1e-6)


def test_precision_of_every_class_is_the_paper_s_with_ridge_1() -> None:
    phi = torch.randn(6, 4, generator=seeded(1), dtype=torch.float64)
    p = torch.randn(6, 3, generator=seeded(2), dtype=torch.float64).softmax(1)
    variance = predictive_variance(phi, factor_of(class_precisions(phi, p), 1.0), 1.0)
    for k in range(3):
        paper = torch.eye(4, dtype=torch.float64)
        for i in range(6):
            paper = paper + p[i, k] * (1 - p[i, k]) * torch.outer(phi[i], phi[i])
        expected = [float(row @ paper.inverse() @ row) for row in phi]
        assert variance[:, k].tolist() == pytest.approx(expected, abs=1e-10)


def test_moving_precision() -> None:
    precision = moving_precision(float64([[2, 0], [0, 2]]), float64([[4, 8], [8, 4]]), 4, 0.75)
    assert precision.tolist() == [[1.75, 0.5], [0.5, 1.75]]


def test_random_fourier_features() -> None:
    phi = random_fourier_features(
        float64([[0.5, -1]]), float64([[1, 0], [0, 1], [1, 1]]), float64([0, math.pi / 2, math.pi])
    )
    assert phi[0].tolist() == pytest.approx([0.716543, 0.687058, -0.716543], abs=1e-6)
    assert torch.autograd.gradcheck(
        lambda h: random_fourier_features(h, float64([[1, 0], [0, 1]]), float64([0, 1])),
        (float64([[0.5, -1]]).requires_grad_(),),
    )


def test_many_features_approximate_the_kernel() -> None:
    """phi(x).phi(y) is exp(-|x - y|^2 / 2) but for 1 / sqrt(D); orthogonal directions are orthogonal."""
    x = torch.randn(10, 4, generator=seeded(), dtype=torch.float64)
    kernel = torch.exp(-torch.cdist(x, x).square() / 2)
    for orthogonal in (False, True):
        w = random_directions(20000, 4, seeded(1), orthogonal=orthogonal)
        b = 2 * math.pi * torch.rand(20000, generator=seeded(2), dtype=torch.float64)
        phi = random_fourier_features(x, w, b)
        assert torch.allclose(phi @ phi.T, kernel, rtol=0, atol=0.04)
        products = (w[:4] @ w[:4].T).fill_diagonal_(0).abs().max()
        assert (products < 1e-10) == orthogonal


def test_soft_bound() -> None:
    """It shrinks the whole weight where its largest singular value is above the bound, and never grows it."""
    weight = torch.diag(float64([3, 4]))
    bounded = soft_bound(weight, float64(4), 0.95)
    assert torch.allclose(bounded, torch.diag(float64([0.7125, 0.95])), rtol=0, atol=1e-6)
    assert torch.equal(soft_bound(weight / 8, float64(0.5), 0.95), weight / 8)


def test_agrees_with_torch_s_spectral_norm() -> None:
    """Torch's divides by sigma always. Where ours bounds (c = 1) the weights agree, and sigma everywhere."""
    for size in (2.0, 0.1):
        layer = nn.Linear(7, 5, dtype=torch.float64)
        with torch.no_grad():
            layer.weight.copy_(size * torch.randn(5, 7, generator=seeded(), dtype=torch.float64))
        weight = layer.weight.detach().clone()
        torchs = parametrizations.spectral_norm(layer, n_power_iterations=300).weight.detach()
        apply, start = operator_of(layer), torch.randn(1, 7, generator=seeded(1), dtype=torch.float64)
        ours = SoftSpectralNorm(weight, apply, start, bound=1.0, iterations=300, through_sigma=False)
        used = ours(weight)
        sigma = largest_singular_value(apply, weight, ours.v, ours.u)
        assert sigma.item() == pytest.approx(torch.linalg.matrix_norm(weight, 2).item(), abs=1e-6)
        assert torch.allclose(torchs * sigma, weight, rtol=0, atol=1e-6)
        assert torch.allclose(used, torchs if sigma > 1 else weight, rtol=0, atol=1e-6)


@pytest.mark.parametrize("mode", ["zeros", "circular"])
def test_norm_of_a_convolution_is_that_of_the_operator(mode: str) -> None:
    conv = nn.Conv2d(2, 3, 3, stride=2, padding=1, bias=False, padding_mode=mode, dtype=torch.float64)
    basis = torch.eye(2 * 6 * 6, dtype=torch.float64).view(-1, 2, 6, 6)
    expected = torch.linalg.matrix_norm(conv(basis).flatten(1), 2).item()
    apply, weight = operator_of(conv), conv.weight.detach()
    start = torch.randn(1, 2, 6, 6, generator=seeded(), dtype=torch.float64)
    v, u = power_iteration(apply, weight, start, apply(weight, start), 500)
    assert largest_singular_value(apply, weight, v, u).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("through", [True, False])
def test_gradient_with_sigma_as_a_constant_or_not(through: bool) -> None:
    layer = nn.Linear(3, 3, bias=False, dtype=torch.float64)
    weight = float64([[3, 1, 0], [0, 4, 1], [1, 0, 2]])
    start = torch.randn(1, 3, generator=seeded(), dtype=torch.float64)
    norm = SoftSpectralNorm(
        weight, operator_of(layer), start, bound=0.9, iterations=200, through_sigma=through
    )
    norm(weight)
    norm.eval()
    leaf = weight.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(norm(leaf).sum(), leaf)
    constant = torch.full_like(weight, 0.9 / torch.linalg.matrix_norm(weight, 2).item())
    assert torch.allclose(gradient, constant, rtol=0, atol=1e-6) != through
    if through:
        assert torch.autograd.gradcheck(norm, (leaf,))


def test_doubt_keeps_the_order_of_confidences_that_round_to_1() -> None:
    p = class_probabilities(torch.tensor([[50.0, 0.0], [60.0, 0.0], [0.0, 0.0]]))
    assert p[:2].amax(1).tolist() == [1, 1]
    assert doubt(p).tolist() == pytest.approx([math.exp(-50), math.exp(-60), 0.5], rel=1e-9)
    members = torch.stack([torch.tensor([[4.0, 0.0]]), torch.tensor([[0.0, 4.0]])])
    assert doubt(class_probabilities(members)).tolist() == [0.5]


def test_dempster_shafer() -> None:
    z = torch.randn(4, 3, generator=seeded())
    assert torch.allclose(dempster_shafer(z), 3 / (3 + z.double().exp().sum(1)))
    assert torch.isfinite(dempster_shafer(torch.full((1, 3), 1e4))).all()


def test_true_negative_rate_against_scikit_learn() -> None:
    from sklearn.metrics import roc_curve

    familiar = torch.randn(200, generator=seeded()).double().numpy()
    unfamiliar = 1 + torch.randn(100, generator=seeded(1)).double().numpy()
    fpr, tpr, _ = roc_curve([0] * 200 + [1] * 100, [*familiar, *unfamiliar], drop_intermediate=False)
    for rate in (0.8, 0.95):
        expected = 1 - fpr[tpr >= rate - 1e-12].min()
        assert true_negative_rate(familiar, unfamiliar, rate) == pytest.approx(expected)


def test_brier_score_of_certainty() -> None:
    from imbtui.numerics.classification import brier_scores

    p = F.one_hot(torch.tensor([0, 1, 1]), 2).double()
    assert brier_scores(p, torch.tensor([0, 1, 0])).tolist() == [0, 0, 2]
