"""The quick study of Singla et al. 2021, as a user runs it, and its parts."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import pytest

from imbtui import folders, store
from imbtui.metrics import Reader
from imbtui.paths import RunPaths, RunsPaths
from imbtui.recipe import load_study

Held = Callable[[str], list[store.RunView]]

MakeRuns = Callable[..., list[RunPaths]]
Train = Callable[..., dict[str, Any]]

QUICK = "singla2021/quick"
# Means over seeds 0-2, as two independent implementations measured them to the last digit.
MEASURED = {
    ("FC", 5): 0.975,
    ("FC", 9): 0.972,
    ("FC", 15): 0.969,
    ("CNN", 5): 0.2007,
    ("CNN", 9): 0.1113,
    ("CNN", 15): 0.0668,
}


@pytest.mark.parametrize("name", ["quick", "dots", "fc-cnn", "padding"])
def test_a_study_has_one_digest_a_run(name: str) -> None:
    study = load_study(f"singla2021/{name}")
    assert len({run.digest for run in study.runs}) == len(study.runs)
    assert not study.warnings


@pytest.mark.parametrize(("arm", "distance"), [("FC", 0.972), ("CNN", 0.2007)])
def test_one_dot_of_five_by_five_gives_the_distance_that_was_measured(
    runs: RunsPaths, train: Train, arm: str, distance: float
) -> None:
    study = load_study(QUICK, seeds=[0])
    planned = next(r for r in study.runs if r.arm == arm and r.point["dataset.size"] == 5)
    folders.ensure_folder(runs)
    folders.record_study(runs, study)
    run = runs.run(folders.create(runs, planned, study=study, gpus="cpu", here=False))
    metrics = train(run)["metrics"]
    assert metrics["minimal_attack/l2"] == pytest.approx(distance, abs=2e-3)
    assert metrics["minimal_attack/success"] == 1
    assert metrics["dc_margin/linear"] == pytest.approx(2, abs=1e-4)
    assert metrics["dc_margin/invariant"] == pytest.approx(0.4, abs=1e-6)
    assert (metrics["shift_consistency/kept"] == 1) == (arm == "CNN")
    assert metrics["train/accuracy"] == 1


@pytest.mark.parametrize(("kernel", "distance"), [("fc_ntk", 1.0), ("cntk_gap", 0.2)])
def test_tangent_kernels_have_the_boundaries_of_the_theorem(
    make_runs: MakeRuns, train: Train, kernel: str, distance: float
) -> None:
    (run,) = make_runs(
        "dataset={name = 'dots', size = 5}",
        "corruptions.long_tail=false",
        "augmentation.input_noise=0.0",
        f"methods.interpolation={{kernel = '{kernel}'}}",
        "probes.minimal_attack={split = 'train', steps = 200}",
    )
    metrics = train(run)["metrics"]
    assert metrics["minimal_attack/l2"] == pytest.approx(distance, rel=0.02)
    assert (metrics["test/accuracy"] == 1) == (kernel == "cntk_gap")


@pytest.mark.parametrize(
    ("assignment", "says"),
    [
        ("methods.interpolation={kind = 'min_norm', kernel = 'fc_ntk'}", "has no kernel"),
        ("probes.minimal_attack.levels=256", "between bounds"),
        ("probes.minimal_attack.bounds=[1.0, 0.0]", "a smaller and a larger value"),
        ("probes.dc_margin.classes=[1, 1]", "between two classes"),
    ],
)
def test_what_makes_no_sense_is_said(make_runs: MakeRuns, train: Train, assignment: str, says: str) -> None:
    (run,) = make_runs(assignment)
    assert says in train(run)["reason"]


@pytest.mark.slow
def test_every_asserted_claim_of_the_quick_study_is_held(held: Held) -> None:
    views = held(QUICK)
    reader = Reader()
    for (arm, size), expected in MEASURED.items():
        found = statistics.mean(
            reader.value(view, "minimal_attack/l2", "last")
            for view in views
            if view.arm == arm and view.point["dataset.size"] == size and view.seed < 3
        )
        assert found == pytest.approx(expected, rel=2e-3), (arm, size)
