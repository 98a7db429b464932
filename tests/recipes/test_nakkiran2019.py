"""The recipes of Nakkiran et al. 2019: what they train, and the quick studies as a user runs them."""

from __future__ import annotations

import statistics
from collections.abc import Callable

import pytest

from imbtui import store
from imbtui.engine.optim import lr_at
from imbtui.engine.tick import Tick
from imbtui.metrics import Reader
from imbtui.recipe import load_study

Held = Callable[[str], list[store.RunView]]

FEATURES, RATE, N = "methods.random_features.features", "corruptions.label_noise.rate", "corruptions.subset.n"
WIDTH = "model.width"
ERROR, TRAIN = "test/error", "train/error"
# Mean test errors of two independent implementations, and how far the means over other seeds may lie off: at
# the peak seeds differ by .07 without noise.
MEASURED: dict[str, list[tuple[dict[str, float], str, float, float]]] = {
    "nakkiran2019/quick": [
        ({FEATURES: 120, RATE: 0.0}, ERROR, 0.088, 0.02),
        ({FEATURES: 200, RATE: 0.0}, ERROR, 0.743, 0.09),
        ({FEATURES: 1000, RATE: 0.0}, ERROR, 0.048, 0.012),
        ({FEATURES: 120, RATE: 0.1}, ERROR, 0.172, 0.03),
        ({FEATURES: 200, RATE: 0.1}, ERROR, 0.833, 0.06),
        ({FEATURES: 1000, RATE: 0.1}, ERROR, 0.144, 0.02),
        ({FEATURES: 120, RATE: 0.2}, ERROR, 0.267, 0.03),
        ({FEATURES: 200, RATE: 0.2}, ERROR, 0.868, 0.06),
        ({FEATURES: 1000, RATE: 0.2}, ERROR, 0.240, 0.03),
    ],
    "nakkiran2019/quick-samples": [
        ({N: 50}, ERROR, 0.385, 0.04),
        ({N: 100}, ERROR, 0.376, 0.05),
        ({N: 150}, ERROR, 0.446, 0.04),
        ({N: 200}, ERROR, 0.868, 0.04),
        ({N: 250}, ERROR, 0.410, 0.04),
        ({N: 400}, ERROR, 0.173, 0.02),
    ],
    "nakkiran2019/quick-widths": [
        ({WIDTH: 4}, ERROR, 0.32, 0.06),
        ({WIDTH: 6}, ERROR, 0.31, 0.04),
        ({WIDTH: 8}, ERROR, 0.335, 0.04),
        ({WIDTH: 12}, ERROR, 0.37, 0.04),
        ({WIDTH: 16}, ERROR, 0.347, 0.04),
        ({WIDTH: 128}, ERROR, 0.25, 0.03),
        ({WIDTH: 4}, TRAIN, 0.285, 0.04),
        ({WIDTH: 8}, TRAIN, 0.10, 0.04),
        ({WIDTH: 12}, TRAIN, 0.004, 0.01),
        ({WIDTH: 128}, TRAIN, 0.0, 0.0),
    ],
}


@pytest.mark.parametrize("name", MEASURED)
def test_a_study_has_one_digest_a_run_and_no_early_stop(name: str) -> None:
    """nakkiran2019 §7.1: early stopping removes most of the effect."""
    study = load_study(name)
    assert len({run.digest for run in study.runs}) == len(study.runs)
    assert not study.warnings
    assert all(run.recipe.train.until is None for run in study.runs)
    for point, *_ in MEASURED[name]:
        assert any(run.point.items() >= point.items() for run in study.runs), point


def test_the_paper_s_training() -> None:
    """nakkiran2019 §5: constant Adam; SGD with an inverse square root in steps of 512, no momentum."""
    adam = load_study("nakkiran2019/resnet18k-cifar10").runs[0].recipe
    assert (adam.optimizer.name, adam.optimizer.lr, adam.train.epochs) == ("adam", 1e-4, 4000)
    assert lr_at(adam.schedule, 1e-4, Tick("train", 10**6, 391, 4000 * 391)) == 1e-4
    sgd = load_study("nakkiran2019/cnn-cifar10").runs[0].recipe
    assert (sgd.optimizer.name, sgd.optimizer.momentum, sgd.train.steps) == ("sgd", 0.0, 500_000)  # type: ignore[union-attr]
    rates = [lr_at(sgd.schedule, 0.1, Tick("train", step, 391, 500_000)) for step in (511, 512, 2048)]
    assert rates == pytest.approx([0.1, 0.0707106781, 0.0447213595], abs=1e-10)
    for recipe in (adam, sgd):
        assert recipe.train.batch_size == 128
        assert recipe.optimizer.weight_decay == 0  # type: ignore[union-attr]
        assert (recipe.augmentation.crop, recipe.augmentation.flip) == (4, True)


@pytest.mark.slow
@pytest.mark.parametrize("name", MEASURED)
def test_every_asserted_claim_of_the_quick_study_is_held(held: Held, name: str) -> None:
    views = held(name)
    reader = Reader()
    for point, metric, expected, tolerance in MEASURED[name]:
        values = [reader.value(view, metric) for view in views if view.point.items() >= point.items()]
        assert statistics.mean(values) == pytest.approx(expected, abs=tolerance), (point, metric)
