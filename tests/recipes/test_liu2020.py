"""The recipes of Liu et al. 2020: what they train, and the quick study as a user runs it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from imbtui import store
from imbtui.recipe import load_study

Held = Callable[[str], list[store.RunView]]
AssertMeans = Callable[..., None]

# Means over seeds of two independent implementations, and how far those of other seeds may lie off.
MEASURED: list[tuple[str, str, float, float]] = [
    ("deterministic", "test/accuracy", 0.999, 0.002),
    ("deterministic", "test/nll", 0.0025, 0.002),
    ("deterministic", "ood/auroc", 0.0, 0.01),
    ("deterministic", "ood/confidence", 1.0, 0.001),
    ("deterministic", "distance_awareness/doubt", -0.47, 0.05),
    ("GP head only", "test/accuracy", 1.0, 0.001),
    ("GP head only", "test/nll", 0.015, 0.002),
    ("GP head only", "ood/auroc", 1.0, 0.001),
    ("GP head only", "ood/confidence", 0.579, 0.04),
    ("GP head only", "distance_awareness/doubt", 0.843, 0.03),
    ("GP head only", "distance_awareness/variance", 0.962, 0.015),
    ("SNGP", "test/accuracy", 0.998, 0.002),
    ("SNGP", "test/nll", 0.027, 0.004),
    ("SNGP", "ood/auroc", 0.998, 0.003),
    ("SNGP", "ood/confidence", 0.546, 0.06),
    ("SNGP", "ood/variance", 0.51, 0.08),
    ("SNGP", "distance_awareness/doubt", 0.809, 0.03),
    ("SNGP", "distance_awareness/variance", 0.972, 0.015),
    ("spectral norm only", "test/accuracy", 0.975, 0.006),
    ("spectral norm only", "ood/auroc", 0.0, 0.001),
    ("GP head only, 12 layers", "test/accuracy", 0.738, 0.2),
    ("SNGP, 12 layers", "distance_awareness/variance", 0.935, 0.03),
    ("SNGP, 12 layers", "ood/confidence", 0.675, 0.07),
]


def test_a_study_has_one_digest_a_run() -> None:
    study = load_study("liu2020/quick")
    assert len({run.digest for run in study.runs}) == len(study.runs)
    assert not study.warnings
    assert {arm for arm, *_ in MEASURED} == {run.arm for run in study.runs}


def test_the_released_settings() -> None:
    """liu2020, schedule: 250 epochs at 0.08 per 128 examples, 1 of warm-up, drops at 30, 60 and 80 %."""
    for name, rate, factor in (("cifar10", 0.16, 20.0), ("cifar100", 0.08, 7.5)):
        arms = {run.arm: run.recipe for run in load_study(f"liu2020/{name}").runs}
        sngp = arms["SNGP"]
        assert (sngp.optimizer.lr, sngp.train.epochs, sngp.train.batch_size) == (rate, 250, 256)
        assert (sngp.schedule.milestones, sngp.schedule.factor) == ([75, 150, 200], 0.2)
        options = sngp.methods[0].options
        assert (options["ridge"], options["scale_features"], options["mean_field"]) == (1.0, False, factor)
        decays = [arms[arm].optimizer.weight_decay for arm in ("deterministic", "SNGP")]  # type: ignore[union-attr]
        assert decays == [2e-4, 3e-4]


@pytest.mark.slow
def test_every_asserted_claim_of_the_quick_study_is_held(held: Held, assert_means: AssertMeans) -> None:
    views = held("liu2020/quick")
    assert_means(views, [(arm, metric, "last", *numbers) for arm, metric, *numbers in MEASURED])
