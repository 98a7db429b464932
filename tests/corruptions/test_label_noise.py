"""Label noise: realised rates, class maps, what stays clean."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from imbtui.corruptions.label_noise import LabelNoise
from imbtui.engine.examples import Examples
from imbtui.errors import UserError
from imbtui.numerics.label_noise import draw_noisy_labels

N = 20_000


@pytest.fixture(scope="module")
def clean() -> Examples:
    return Examples.of(np.zeros((N, 1), np.float32), np.arange(N) % 10)


def transitions(clean: Examples, noisy: Examples) -> np.ndarray:
    """Return the realised transition matrix (10, 10)."""
    counts = np.zeros((10, 10))
    np.add.at(counts, (clean.targets, noisy.targets), 1)
    return counts / counts.sum(1, keepdims=True)


def close(share: float, probability: float, trials: int) -> bool:
    """Whether a share of independent trials lies within five standard deviations of its probability."""
    return abs(share - probability) <= 5 * math.sqrt(probability * (1 - probability) / trials)


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.8, 1.0])
@pytest.mark.parametrize("kind", ["symmetric", "uniform", "asymmetric"])
def test_realised_rate(clean: Examples, kind, rate: float) -> None:
    noise = LabelNoise(kind=kind, rate=rate)
    noisy = noise(clean, 10, split_seed=1, seed=2)
    changed = noisy.targets != clean.targets
    assert close(changed.mean(), rate * (0.9 if kind == "uniform" else 1), N)
    expected, realised = noise.matrix(10), transitions(clean, noisy)
    np.testing.assert_allclose(expected.sum(1), 1)
    assert all(close(realised[i, j], expected[i, j], N // 10) for i in range(10) for j in range(10))
    np.testing.assert_array_equal(noisy.is_corrupted, changed)
    np.testing.assert_array_equal(noisy.clean_targets, clean.targets)
    assert not clean.is_corrupted.any()


@pytest.mark.parametrize(
    ("classes", "targets"),
    [
        ("circular", {i: (i + 1) % 10 for i in range(10)}),
        ("mnist", {7: 1, 2: 7, 5: 6, 6: 5, 3: 8}),
        ("cifar10", {9: 1, 2: 0, 4: 7, 3: 5, 5: 3}),
        ("legacy_blocks", {0: 1, 1: 2, 2: 3, 3: 4, 4: 0, 5: 6, 6: 7, 7: 8, 8: 9, 9: 5}),
    ],
)
def test_class_maps(clean: Examples, classes, targets: dict[int, int]) -> None:
    """patrini2017 §3: at rate 1 every example of a source class has its target."""
    noisy = LabelNoise(kind="asymmetric", rate=1.0, classes=classes)(clean, 10, split_seed=0, seed=0)
    np.testing.assert_array_equal(noisy.targets, [targets.get(y, y) for y in clean.targets])


def test_flips_within_superclasses(clean: Examples) -> None:
    """patrini2017 §7.1: the next class with the same super-class, wrapping; one that is alone stays clean."""
    known = replace(clean, superclasses=np.array([1, 0, 1, 0, 2, 1, 2, 3, 2, -1]))
    noisy = LabelNoise(kind="asymmetric", rate=1.0, classes="superclasses")(known, 10, split_seed=0, seed=0)
    targets = {0: 2, 2: 5, 5: 0, 1: 3, 3: 1, 4: 6, 6: 8, 8: 4}
    np.testing.assert_array_equal(noisy.targets, [targets.get(y, y) for y in clean.targets])
    with pytest.raises(UserError, match="has no super-classes"):
        LabelNoise(kind="asymmetric", classes="superclasses")(clean, 10, split_seed=0, seed=0)
    with pytest.raises(UserError, match="no whole number of blocks"):
        LabelNoise(kind="asymmetric", classes="legacy_blocks").matrix(12)


def test_binary_noise() -> None:
    """patrini2017 §3: 1 to 0 with the rate, 0 to 1 with 0.05."""
    noise = LabelNoise(kind="asymmetric", rate=0.3, classes="binary")
    np.testing.assert_allclose(noise.matrix(2), [[0.95, 0.05], [0.3, 0.7]])
    with pytest.raises(UserError, match="below half"):
        LabelNoise(kind="asymmetric", rate=0.5, classes="binary").matrix(2)
    with pytest.raises(UserError, match="for two classes, and there are 10"):
        noise.matrix(10)


def test_the_matrix_and_the_realised_counts_are_kept(clean: Examples) -> None:
    first, second = LabelNoise(rate=0.2), LabelNoise(kind="asymmetric", rate=0.4, classes="mnist")
    once = first(clean, 10, split_seed=0, seed=0)
    twice = second(once, 10, split_seed=0, seed=1)
    assert clean.transition is None
    np.testing.assert_allclose(twice.transition, first.matrix(10) @ second.matrix(10))
    counts = twice.label_counts(10)
    np.testing.assert_array_equal(counts.sum(1), clean.class_counts(10))
    np.testing.assert_array_equal(counts.sum(0), twice.class_counts(10))
    assert counts.trace() == (twice.targets == twice.clean_targets).sum()
    assert all(close(counts[i, j] / 2000, twice.transition[i, j], 2000) for i in (0, 3) for j in range(10))


def test_pairs_replace_the_map(clean: Examples) -> None:
    noise = LabelNoise(kind="asymmetric", rate=1.0, classes="mnist", pairs=[[0, 9]])
    noisy = noise(clean, 10, split_seed=0, seed=0)
    np.testing.assert_array_equal(noisy.targets, np.where(clean.targets == 0, 9, clean.targets))


def test_only_the_seed_matters(clean: Examples) -> None:
    noise = LabelNoise(rate=0.5)
    first = noise(clean, 10, split_seed=0, seed=3).targets
    np.testing.assert_array_equal(first, noise(clean, 10, split_seed=1, seed=3).targets)
    assert (first != noise(clean, 10, split_seed=0, seed=4).targets).any()


def test_more_noise_contains_less(clean: Examples) -> None:
    """One uniform number decides an example at every rate, so studies over rates compare like with like."""
    less, more = (LabelNoise(kind="asymmetric", rate=r)(clean, 10, split_seed=0, seed=0) for r in (0.1, 0.3))
    assert close((less.targets != more.targets).mean(), 0.2, N)


@pytest.mark.parametrize(
    ("pairs", "says"),
    [
        ([[0, 10]], "names a class outside 0 to 9"),
        ([[-1, 2]], "names a class outside 0 to 9"),
        ([[3, 3]], "sends a class to itself"),
        ([[3, 4], [3, 5]], "class 3 is sent to two classes"),
        ([[3]], "is not a pair"),
    ],
)
def test_wrong_pairs_are_one_sentence(clean: Examples, pairs: list[list[int]], says: str) -> None:
    with pytest.raises(UserError, match=says):
        LabelNoise(kind="asymmetric", pairs=pairs)(clean, 10, split_seed=0, seed=0)


@pytest.mark.parametrize("options", [{"pairs": [[0, 1]]}, {"classes": "mnist"}])
def test_pairs_need_asymmetric_noise(options: dict) -> None:
    with pytest.raises(UserError, match="are for asymmetric noise"):
        LabelNoise(kind="symmetric", **options)


def test_a_map_for_more_classes_is_refused() -> None:
    two = Examples.of(np.zeros((4, 1)), np.array([0, 1, 0, 1]))
    with pytest.raises(UserError, match="names a class outside 0 to 1"):
        LabelNoise(kind="asymmetric", classes="mnist")(two, 2, split_seed=0, seed=0)


def test_rows_that_do_not_quite_sum_to_one() -> None:
    """Rounding must not let a draw close to 1 fall behind the last class."""

    class Highest(np.random.RandomState):
        def random_sample(self, size):
            return np.full(size, np.nextafter(1.0, 0.0))

    matrix = np.array([[0.1] * 9 + [0.0999999], [0.5, 0.5] + [0.0] * 8] + [[0.1] * 10] * 8)
    assert draw_noisy_labels(np.array([0, 1]), matrix, Highest(0)).tolist() == [9, 1]
