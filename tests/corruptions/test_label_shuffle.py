"""Labels permuted among examples: arpit2017 §8 A."""

from __future__ import annotations

import numpy as np
import pytest

from imbtui.corruptions.label_shuffle import LabelShuffle
from imbtui.engine.examples import Examples


@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
def test_class_counts_stay_and_the_share_is_kept(rate: float) -> None:
    clean = Examples.of(np.zeros((9000, 1)), np.arange(9000) % 10 // 3)  # classes of 30, 30, 30 and 10 %
    noisy = LabelShuffle(rate=rate)(clean, 4, split_seed=1, seed=2)
    np.testing.assert_array_equal(noisy.class_counts(4), clean.class_counts(4))
    np.testing.assert_array_equal(noisy.is_corrupted, noisy.targets != clean.targets)
    np.testing.assert_array_equal(noisy.clean_targets, clean.targets)
    assert noisy.is_corrupted.mean() == pytest.approx(rate * (1 - 3 * 0.3**2 - 0.1**2), abs=0.02)
    counts = np.zeros((4, 4))
    np.add.at(counts, (clean.targets, noisy.targets), 1)
    np.testing.assert_allclose(noisy.transition, counts / counts.sum(1, keepdims=True), atol=0.04)
    other = LabelShuffle(rate=rate)(clean, 4, split_seed=1, seed=3)
    assert (other.targets != noisy.targets).any() == (rate > 0)
