"""The studies of Zhang et al. 2017 and Arpit et al. 2017, as a user runs them."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from imbtui import store
from imbtui.metrics import Reader
from imbtui.recipe import load_study

Held = Callable[[str], list[store.RunView]]

TEST, TRAIN, FIT = "test/accuracy", "train/accuracy", "fit_epoch"
PAPERS = ("zhang2017", "arpit2017")
# What two independent implementations measured, as means over seeds, and how far other seeds may lie off.
MEASURED: dict[str, list[tuple[str, str, str, float, float]]] = {
    "zhang2017/quick": [
        ("true", TEST, "last", 0.981, 0.01),
        ("shuffled pixels", TEST, "last", 0.980, 0.01),
        ("random pixels", TEST, "last", 0.095, 0.03),
        ("Gaussian", TEST, "last", 0.09, 0.03),
        ("partial 0.2", TEST, "last", 0.86, 0.03),
        ("partial 0.5", TEST, "last", 0.635, 0.04),
        ("partial 0.8", TEST, "last", 0.32, 0.04),
        ("random labels", TEST, "last", 0.105, 0.03),
        ("weight decay, true", TEST, "last", 0.98, 0.01),
        ("dropout, true", TEST, "last", 0.98, 0.01),
        ("dropout, random labels", TRAIN, "last", 0.664, 0.04),
        ("true", FIT, "", 8.5, 2),
        ("shuffled pixels", FIT, "", 8.5, 2),
        ("random pixels", FIT, "", 8.8, 2),
        ("Gaussian", FIT, "", 8.7, 2),
        ("partial 0.2", FIT, "", 49, 10),
        ("partial 0.5", FIT, "", 62, 12),
        ("partial 0.8", FIT, "", 63, 12),
        ("random labels", FIT, "", 77, 15),
        ("weight decay, random labels", FIT, "", 130, 40),
        ("dropout, true", FIT, "", 14.5, 3),
    ],
    "zhang2017/interpolation": [],
    "arpit2017/quick": [
        ("A real", "example_difficulty/spread", "last", 18.5, 2),
        ("A randX", "example_difficulty/spread", "last", 2.1, 0.6),
        ("A randY", "example_difficulty/spread", "last", 2.6, 0.8),
        ("A real", "example_difficulty/mean", "last", 0.80, 0.02),
        ("B real", "unrolled_sgd/gini", "last", 0.521, 0.05),
        ("B randX", "unrolled_sgd/gini", "last", 0.178, 0.03),
        ("B randY", "unrolled_sgd/gini", "last", 0.172, 0.03),
        ("C randY 0", TEST, "max", 0.982, 0.01),
        ("C randY 0.4", TEST, "max", 0.940, 0.02),
        ("C randY 0.4", TEST, "mean_last:5", 0.71, 0.05),
        ("C randY 0", "critical_sample_ratio/0.02", "epoch:40", 0.053, 0.02),
        ("C randY 0.4", "critical_sample_ratio/0.02", "epoch:40", 0.50, 0.08),
        ("C randY 0.8", "critical_sample_ratio/0.02", "epoch:40", 0.72, 0.08),
        ("C randX 0.8", "critical_sample_ratio/0.02", "epoch:40", 0.14, 0.05),
        ("C randY 0.4", "critical_sample_ratio/0.05", "epoch:40", 0.89, 0.08),
        ("D real", TEST, "max", 0.982, 0.01),
        ("D real, dropout 0.5", TEST, "max", 0.987, 0.01),
        ("D randY", TRAIN, "last", 0.847, 0.08),
        ("D randY, dropout 0.5", TRAIN, "last", 0.460, 0.04),
        ("E n=150 real", FIT, "", 11, 3),
        ("E n=1200 real", FIT, "", 15.7, 5),
        ("E n=150 randY", FIT, "", 30.3, 8),
        ("E n=1200 randY", FIT, "", 87.7, 15),
    ],
    "arpit2017/first-epoch": [],
}
RECIPES = [
    path.relative_to(Path(__file__).parents[2] / "recipes").with_suffix("").as_posix()
    for paper in PAPERS
    for path in sorted((Path(__file__).parents[2] / "recipes" / paper).glob("*.toml"))
]


@pytest.mark.parametrize("name", RECIPES)
def test_a_study_has_one_digest_a_run(name: str) -> None:
    study = load_study(name)
    assert len({run.digest for run in study.runs}) == len(study.runs)
    assert {arm for arm, *_ in MEASURED.get(name, [])} <= {run.arm for run in study.runs}
    assert not study.warnings


@pytest.mark.slow
@pytest.mark.parametrize("name", MEASURED)
def test_every_asserted_claim_of_the_quick_study_is_held(held: Held, name: str) -> None:
    views = held(name)
    reader = Reader()
    values = defaultdict(list)
    for view in views:
        for arm, metric, at, _, _ in MEASURED[name]:
            if view.arm == arm:
                value = view.fit_epoch if metric == FIT else reader.value(view, metric, at)
                values[arm, metric, at].append(value)
    for arm, metric, at, expected, tolerance in MEASURED[name]:
        assert None not in values[arm, metric, at], (arm, metric)
        found = statistics.mean(values[arm, metric, at])
        assert found == pytest.approx(expected, abs=tolerance), (arm, metric, at)


@pytest.mark.slow
def test_adversarial_training_caps_random_labels(held: Held) -> None:
    held("arpit2017/digits-adversarial")
