"""The studies of Zhang et al. 2017 and Arpit et al. 2017, as a user runs them."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from imbtui import store
from imbtui.metrics import Reader
from imbtui.paths import RunsPaths
from imbtui.recipe import load_study

TEST, TRAIN, FIT = "test/accuracy", "train/accuracy", "fit_epoch"
PAPERS = ("zhang2017",)
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
def test_every_asserted_claim_of_the_quick_study_is_held(tmp_path: Path, name: str) -> None:
    runs = RunsPaths(tmp_path / "runs")
    command = [sys.executable, "-m", "imbtui"]
    where = ["--runs", str(runs.root)]
    trained = subprocess.run([*command, "run", name, "--cpu", *where], capture_output=True, check=False)
    assert trained.returncode == 0, trained.stderr.decode()
    judged = subprocess.run(
        [*command, "verdict", name, "--strict", "--json", *where], capture_output=True, check=False
    )
    assert judged.returncode == 0, json.loads(judged.stdout)
    reader = Reader()
    values = defaultdict(list)
    for run_id in store.list_ids(runs):
        view = store.read(runs.run(run_id))
        for arm, metric, at, _, _ in MEASURED[name]:
            if view.arm == arm:
                value = view.fit_epoch if metric == FIT else reader.value(view, metric, at)
                values[arm, metric, at].append(value)
    for arm, metric, at, expected, tolerance in MEASURED[name]:
        assert None not in values[arm, metric, at], (arm, metric)
        found = statistics.mean(values[arm, metric, at])
        assert found == pytest.approx(expected, abs=tolerance), (arm, metric, at)
