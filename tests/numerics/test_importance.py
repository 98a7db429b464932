"""Density ratios and importance weights: the worked examples of lu2021 §7, and what holds for any data."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from torch import Tensor

from imbtui.numerics.density_ratio import (
    KernelWidth,
    choose_centres,
    choose_width,
    gaussian_kernel,
    kliep_objective,
    kliep_ratio,
    least_squares_ratio,
    median_distance,
    one_step_objective,
    one_step_ratio,
    ratio_loss,
    ratio_moments,
)
from imbtui.numerics.importance_weights import (
    effective_sample_size,
    flattened_weights,
    label_ratio,
    relative_weights,
    share_on,
    weighted_risk,
)
from imbtui.numerics.kernel_mean_matching import (
    default_slack,
    match_means,
    matching_objective,
    matching_programme,
    matching_residual,
    project,
)
from imbtui.numerics.least_squares import weighted_least_squares


def vector(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def close(actual: Tensor, *expected: float) -> None:
    torch.testing.assert_close(actual, vector(*expected).reshape(actual.shape), atol=1e-6, rtol=0)


TRAIN, TEST = vector(0, 1, 2)[:, None], vector(1.5, 2)[:, None]
PHI_TRAIN, PHI_TEST = gaussian_kernel(TRAIN, TEST, 1.0), gaussian_kernel(TEST, TEST, 1.0)
positive = st.floats(0, 100, allow_subnormal=False)


def test_ulsif_of_the_worked_example() -> None:
    second, first = ratio_moments(PHI_TRAIN, PHI_TEST, 0.0)
    close(second, 0.554334, 0.487232, 0.487232, 0.462065)
    close(first, 0.941248, 0.941248)
    theta = least_squares_ratio(PHI_TRAIN, PHI_TEST, ridge=0.1)
    close(theta, 0.540228, 1.206323)
    close(PHI_TRAIN @ theta, 0.338645, 1.208422, 1.683073)


def test_rulsif_of_the_worked_example() -> None:
    theta = least_squares_ratio(PHI_TRAIN, PHI_TEST, ridge=0.1, alpha=0.5)
    close(theta, 0.507565, 0.765258)
    close(PHI_TRAIN @ theta, 0.268349, 0.912077, 1.213182)


def test_kernel_mean_matching_of_the_worked_example() -> None:
    programme = matching_programme(gaussian_kernel(TRAIN, TRAIN, 1.0), PHI_TRAIN)
    weights = match_means(*programme, bound=10, slack=0.5, iterations=2000)
    close(weights, 0, 0.823987, 2.323949)
    # lu2021 §7B prints -4.201321; its own weights give this, and so does SciPy's L-BFGS-B.
    close(matching_objective(*programme, weights), -4.201324)
    assert matching_residual(*programme, weights, bound=10, slack=0.5) < 1e-9
    assert matching_residual(*programme, torch.ones_like(weights), bound=10, slack=0.5) > 0.1


def test_one_step_of_the_worked_example() -> None:
    losses = vector(1, 0.5, 0.1)
    beta = one_step_ratio(PHI_TRAIN, PHI_TEST, losses, ridge=0.1)
    close(beta, 0.357696, 1.259779)
    close(one_step_objective(PHI_TRAIN @ beta, PHI_TEST @ beta, losses), -1.693945)


def test_weights_of_the_worked_example() -> None:
    weights = vector(0.1, 1, 4)
    close(flattened_weights(weights, 0.5), 0.316228, 1, 2)
    close(relative_weights(weights, 0.5), 0.181818, 1, 1.6)
    close(effective_sample_size(weights), 1.529101)


def test_without_losses_one_step_is_ulsif() -> None:
    """The coupling term vanishes; m only rescales the ridge."""
    alone = one_step_ratio(PHI_TRAIN, PHI_TEST, torch.zeros(3, dtype=torch.float64), ridge=0.1)
    torch.testing.assert_close(alone, least_squares_ratio(PHI_TRAIN, PHI_TEST, ridge=0.1))


def test_kliep_stays_feasible_and_finds_what_a_general_solver_finds() -> None:
    rng = np.random.default_rng(0)
    train, test = (torch.from_numpy(rng.normal(m, s, (40, 1))) for m, s in ((1, 0.5), (1.5, 0.3)))
    centres = test[:5]
    features, test_features = (gaussian_kernel(x, centres, 0.4) for x in (train, test))
    ascent = [kliep_ratio(features, test_features, iterations=n) for n in (0, 1, 10, 20000)]
    objectives = [float(kliep_objective(test_features, a)) for a in ascent]
    assert objectives == sorted(objectives)
    for a in ascent:
        assert float((features @ a).mean()) == pytest.approx(1)
    solved = minimize(
        lambda a: -np.log(test_features.numpy() @ a).sum(),
        np.full(5, 0.5),
        bounds=[(1e-12, None)] * 5,
        constraints={"type": "eq", "fun": lambda a: (features.numpy() @ a).mean() - 1},
        options={"ftol": 1e-13, "maxiter": 1000},
    )
    assert objectives[-1] == pytest.approx(-solved.fun, abs=1e-5)


def test_cross_validation_finds_a_width_that_tells_the_densities_apart() -> None:
    generator = torch.Generator().manual_seed(0)
    train, test = (
        m + s * torch.randn(300, 1, generator=generator).double() for m, s in ((1, 0.5), (2, 0.25))
    )
    model = choose_width(train, test, choose_centres(test, 50, generator), generator=generator)
    assert isinstance(model, KernelWidth)
    assert len(model.centres) == 50
    theta = least_squares_ratio(model.features(train), model.features(test), ridge=model.ridge)
    close_to = torch.exp(-((train - 2) ** 2) / 0.125 + (train - 1) ** 2 / 0.5) * 2
    ratio = model.features(train) @ theta
    assert torch.corrcoef(torch.stack([ratio, close_to[:, 0]]))[0, 1] > 0.8
    chosen = ratio_loss(ratio, model.features(test) @ theta)
    wide = gaussian_kernel(train, model.centres, 100.0), gaussian_kernel(test, model.centres, 100.0)
    flat = least_squares_ratio(*wide, ridge=model.ridge)
    assert chosen < ratio_loss(wide[0] @ flat, wide[1] @ flat)


def test_few_points_are_all_centres() -> None:
    assert choose_centres(TEST, 100, torch.Generator()) is TEST
    assert median_distance(TRAIN) == 1


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-20, 20), min_size=1, max_size=30),
    st.floats(0.5, 5),
    st.floats(0, 0.4),
    st.floats(0, 0.6),
)
def test_the_projection_is_feasible_and_no_feasible_point_is_nearer(
    values: list[float], bound: float, low: float, gap: float
) -> None:
    b = vector(*values)
    n = len(b)
    least, most = low * n * bound, (low + gap) * n * bound
    nearest = project(b, bound=bound, least=least, most=most)
    assert (nearest >= -1e-9).all()
    assert (nearest <= bound + 1e-9).all()
    assert least - 1e-6 <= float(nearest.sum()) <= most + 1e-6
    generator = torch.Generator().manual_seed(n)
    for _ in range(5):
        other = torch.rand(n, generator=generator, dtype=torch.float64) * bound
        other = project(other, bound=bound, least=least, most=most)
        # The angle between the way to b and the way to any feasible point is obtuse.
        assert float((b - nearest) @ (other - nearest)) <= 1e-5


@settings(max_examples=50, deadline=None)
@given(st.lists(positive, min_size=1, max_size=20), st.floats(0, 0.9))
def test_relative_weights_are_bounded_and_flattened_ones_run_from_one_to_w(
    w: list[float], alpha: float
) -> None:
    weights = vector(*w)
    if alpha:
        assert (relative_weights(weights, alpha) <= 1 / alpha + 1e-9).all()
    torch.testing.assert_close(relative_weights(weights, 0.0), weights)
    torch.testing.assert_close(flattened_weights(weights, 0.0), torch.ones_like(weights))
    torch.testing.assert_close(flattened_weights(weights, 1.0), weights)
    assert 0 <= effective_sample_size(weights) <= len(w) + 1e-9


def test_labels_shares_and_risks() -> None:
    close(label_ratio(torch.tensor([90, 10, 0]), torch.tensor([10, 10, 10])), 10 / 27, 10 / 3, 0)
    close(share_on(vector(1, 3), torch.tensor([False, True])), 0.75)
    close(share_on(vector(0, 0), torch.tensor([False, True])), 0)
    close(weighted_risk(vector(1, 2), vector(0.5, 2)), 2.25)
    assert default_slack(256) == 0.9375


@pytest.mark.parametrize("intercept", [True, False])
def test_weighted_least_squares_like_repeated_examples(intercept: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    x, y = (torch.randn(12, width, generator=generator, dtype=torch.float64) for width in (3, 2))
    times = torch.tensor([1, 2, 3] * 4)
    repeated = weighted_least_squares(
        x.repeat_interleave(times, 0), y.repeat_interleave(times, 0), intercept=intercept
    )
    weighted = weighted_least_squares(x, y, times.double() / 7, intercept=intercept)
    for one, other in zip(repeated, weighted, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_matching_is_the_same_on_a_gpu() -> None:
    programme = matching_programme(gaussian_kernel(TRAIN, TRAIN, 1.0), PHI_TRAIN)
    expected = match_means(*programme, bound=1.2, slack=0.1, iterations=500)
    found = match_means(*(p.cuda() for p in programme), bound=1.2, slack=0.1, iterations=500)
    torch.testing.assert_close(found.cpu(), expected)
