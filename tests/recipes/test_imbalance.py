"""The quick studies of Byrd and Lipton 2019, Ye et al. 2020 and Kini et al. 2021, as a user runs them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from imbtui import folders, store
from imbtui.metrics import Reader
from imbtui.paths import RunsPaths
from imbtui.recipe import load_study

Held = Callable[[str], list[store.RunView]]
AssertMeans = Callable[..., None]

POSITIVE, WORST = "gaussian_errors/positive", "gaussian_errors/worst"
ACCURACY = "test/balanced_accuracy"
RATE = "prediction_rate/other_classes"
# What two independent implementations measured, as means over seeds, and how far other seeds may lie off.
MEASURED: dict[str, list[tuple[str, str, str, float, float]]] = {
    "byrd2019/quick": [
        ("plain 16:1", RATE, "last", 0.53, 0.03),
        ("plain 1:16", RATE, "last", 0.43, 0.03),
        ("L2 16:1", RATE, "last", 0.66, 0.05),
        ("L2 1:16", RATE, "last", 0.30, 0.05),
    ],
    "ye2020/quick": [
        ("CE", ACCURACY, "last", 0.751, 0.02),
        ("CDT 0.1", ACCURACY, "last", 0.790, 0.02),
        ("CDT 0.2", ACCURACY, "last", 0.810, 0.02),
        ("CDT 0.3", ACCURACY, "last", 0.782, 0.03),
        ("CE", "feature_deviation/head", "last", 0.057, 0.02),
        ("CE", "feature_deviation/tail", "last", 0.30, 0.04),
        ("CE", "feature_deviation/controlled_head", "last", 0.195, 0.02),
        ("CE", "margins/tail_decision", "last", 4.2, 0.8),
        ("CDT 0.2", "margins/tail_decision", "last", 8.2, 0.8),
    ],
    # A and B draw the very data of the specification: means over its five seeds move little with a sixth.
    "kini2021/quick": [
        ("groups CE", WORST, "last", 0.240, 0.008),
        ("groups weighted CE", WORST, "last", 0.238, 0.008),
        ("groups weighted CE", WORST, "step:1", 0.051, 0.008),
        ("groups LA", WORST, "last", 0.238, 0.008),
        ("groups CDT 0.3", WORST, "last", 0.106, 0.005),
        ("groups CDT 0.3", WORST, "step:1", 0.675, 0.01),
        ("groups VS 0.3", WORST, "last", 0.104, 0.005),
        ("groups VS 0.6", WORST, "last", 0.071, 0.006),
        ("groups VS 0.6", WORST, "step:100", 0.057, 0.006),
        ("groups CE", "gaussian_errors/symmetric_deo", "last", 0.236, 0.01),
        ("groups VS 0.6", "gaussian_errors/symmetric_deo", "last", 0.023, 0.006),
        ("digits CE", ACCURACY, "last", 0.751, 0.025),
        ("digits CDT 0.2", ACCURACY, "last", 0.810, 0.025),
        ("digits LA", ACCURACY, "last", 0.806, 0.025),
        ("digits VS", ACCURACY, "last", 0.812, 0.025),
    ],
    "kini2021/digits-start": [
        ("CE", "test/few_accuracy", "epoch:10", 0.206, 0.05),
        ("CDT 0.2", "test/few_accuracy", "epoch:10", 0.162, 0.05),
        ("LA", "test/few_accuracy", "epoch:10", 0.435, 0.05),
        ("VS", "test/few_accuracy", "epoch:10", 0.269, 0.05),
    ],
}
# kini2021 §10, seed 0: the minority's error after 1, 100 and all steps, printed to three digits.
SEED_0 = {
    "CE": (0.445, 0.169, 0.166),
    "weighted CE": (0.042, 0.155, 0.165),
    "LA": (0.348, 0.155, 0.165),
    "CDT": (0.540, 0.059, 0.052),
    "VS": (0.506, 0.052, 0.051),
}


@pytest.mark.parametrize("name", MEASURED)
def test_a_study_has_one_digest_a_run(name: str) -> None:
    study = load_study(name)
    assert len({run.digest for run in study.runs}) == len(study.runs)
    assert {arm for arm, *_ in MEASURED[name]} <= {run.arm for run in study.runs}
    assert not study.warnings


def test_studies_of_the_linear_theory_reproduce_the_table(tmp_path: Path) -> None:
    """One seed of part A, trained by the engine, gives the specification's digits."""
    runs = RunsPaths(tmp_path / "runs")
    folders.ensure_folder(runs)
    study = load_study("kini2021/quick", ["train.epochs=100", "schedule.scale=200"], seeds=[0])
    folders.record_study(runs, study)
    planned = [run for run in study.runs if run.arm in SEED_0]
    ids = {
        run.arm: folders.create(runs, run, study=study, gpus="cpu", here=False)
        for run in planned
        if run.recipe.train.epochs == 100
    }
    assert ids.keys() == SEED_0.keys()
    subprocess.run(
        [sys.executable, "-m", "imbtui.engine", *(str(runs.run(i).root) for i in ids.values())], check=True
    )
    reader = Reader()
    for arm, (first, hundredth, _) in SEED_0.items():
        view = store.read(runs.run(ids[arm]))
        assert reader.value(view, POSITIVE, "step:1") == pytest.approx(first, abs=6e-4), arm
        assert reader.value(view, POSITIVE, "step:100") == pytest.approx(hundredth, abs=6e-4), arm


@pytest.mark.slow
@pytest.mark.parametrize("name", MEASURED)
def test_every_asserted_claim_of_the_quick_study_is_held(
    held: Held, assert_means: AssertMeans, name: str
) -> None:
    views = held(name)
    assert_means(views, MEASURED[name])
    reader = Reader()
    for view in views:
        if name == "kini2021/quick" and view.seed == 0 and view.arm in SEED_0:
            steps = ("step:1", "step:100", "last")
            found_all = [reader.value(view, POSITIVE, at) for at in steps]
            assert found_all == pytest.approx(SEED_0[view.arm], abs=6e-4)
