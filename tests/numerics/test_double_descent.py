"""Double descent: the statistic, the threshold, the complexity, the features, the noise (nakkiran2019)."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from imbtui.corruptions.label_noise import LabelNoise
from imbtui.engine.examples import Examples
from imbtui.errors import UserError
from imbtui.numerics.double_descent import (
    double_descent,
    effective_model_complexity,
    interpolation_threshold,
)
from imbtui.numerics.ensembles import plurality, predicted_classes
from imbtui.numerics.label_noise import offset_labels
from imbtui.numerics.random_features import fourier_features, minimum_norm_weights, random_frequencies


def test_effective_model_complexity() -> None:
    """nakkiran2019 §8 B: the largest n that is fit, not the one before the first that is not."""
    assert effective_model_complexity([100, 200, 300, 400], [0, 0.12, 0.09, 0.3]) == 300
    assert effective_model_complexity([100, 200], [0.2, 0.3]) is None


def test_the_threshold_is_where_every_larger_model_fits_too() -> None:
    errors = [0.3, 0.005, 0.02, 0.01, 0.0]
    assert interpolation_threshold(errors) == 3
    assert interpolation_threshold(errors, 0.1) == 1
    assert interpolation_threshold([0.0, 0.0]) == 0
    assert interpolation_threshold([0.0, 0.5]) is None


def test_prominence_is_over_the_higher_of_both_minima() -> None:
    found = double_descent([0.5, 0.2, 0.3, 0.6, 0.4, 0.25], threshold=3)
    assert found is not None
    assert (found.pre, found.peak, found.post, found.place) == (0.2, 0.6, 0.25, 3)
    assert found.prominence == pytest.approx(0.35)
    # The first model is the worst of all, and no peak.
    assert double_descent([0.9, 0.2, 0.3, 0.25], threshold=2).peak == 0.3  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("errors", "threshold"), [([0.5, 0.4, 0.3], 0), ([0.2, 0.3, 0.5], 1), ([0.2, 0.3], 2)]
)
def test_it_is_undefined_without_models_on_both_sides(errors: list[float], threshold: int) -> None:
    assert double_descent(errors, threshold) is None


def test_offset_labels() -> None:
    """nakkiran2019 §8 A: .2 is not below .2."""
    u, o = np.array([0.05, 0.5, 0.19, 0.2]), np.array([3, 1, 2, 1])
    noisy = offset_labels(np.arange(4), u, o, 0.2, 4)
    assert noisy.tolist() == [3, 1, 0, 3]
    assert (noisy != np.arange(4)).mean() == 0.5


@pytest.mark.parametrize(("kind", "share"), [("symmetric", 0.2), ("uniform", 0.18)])
def test_nested_noise_grows_with_the_rate(kind: str, share: float) -> None:
    labels = np.random.RandomState(0).randint(0, 10, 20_000)
    examples = Examples.of(np.zeros((len(labels), 1), np.float32), labels)

    def noisy(rate: float, seed: int = 1) -> np.ndarray:
        corrupt = LabelNoise(kind=kind, rate=rate, nested=True)  # type: ignore[arg-type]
        return corrupt(examples, 10, split_seed=0, seed=seed).targets

    low, high = noisy(0.1), noisy(0.2)
    wrong = low != labels
    assert wrong.any()
    assert np.array_equal(high[wrong], low[wrong])
    assert (high != labels).mean() == pytest.approx(share, abs=0.01)
    assert np.bincount(high[high != labels]).min() > 0.07 * (high != labels).sum(), "to all classes alike"
    assert not np.array_equal(high, noisy(0.2, seed=2))


def test_asymmetric_noise_is_not_nested() -> None:
    with pytest.raises(UserError, match="nested is for symmetric and uniform noise"):
        LabelNoise(kind="asymmetric", nested=True)


def test_features_are_nested_and_their_variance_is_that_of_the_inputs() -> None:
    few, many = (random_frequencies(d, 64, np.random.default_rng(0)) for d in (20, 2000))
    assert np.array_equal(few, many[:20])
    assert many.std() == pytest.approx(1 / 8, rel=0.01)
    phi = fourier_features(np.zeros((3, 64)), few)
    assert np.array_equal(phi, np.ones((3, 20)))


def test_as_many_features_as_examples_interpolate() -> None:
    """nakkiran2019 §4: the effective model complexity is the number of features exactly."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((30, 64))
    targets = np.eye(10)[rng.integers(0, 10, 30)]
    norms = []
    for features in (29, 30, 31, 200):
        phi = fourier_features(x, random_frequencies(features, 64, np.random.default_rng(2)))
        weights = minimum_norm_weights(phi, targets)
        error = np.abs(phi @ weights - targets).max()
        assert (error < 1e-6) == (features >= 30)
        norms.append(np.linalg.norm(weights))
    assert norms[1] > norms[2] > norms[3], "the shortest solution gets shorter with more features"


def test_plurality() -> None:
    votes = torch.tensor([[0, 1, 2], [0, 1, 1], [3, 2, 0]])
    assert plurality(votes, 4).tolist() == [0, 1, 0]


def test_members_probabilities_are_averaged() -> None:
    logits = torch.tensor([[[2.0, 0.0, 1.9]], [[0.0, 9.0, 8.9]]])
    assert predicted_classes(logits).tolist() == [2]
    assert predicted_classes(logits[0]).tolist() == [0]
