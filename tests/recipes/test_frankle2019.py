"""The recipes of frankle2019: they say what they should, they combine, and the quick study holds."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from imbtui import folders, store
from imbtui.corruptions.long_tail import long_tail_counts
from imbtui.engine import session
from imbtui.members import by_digest
from imbtui.metrics import Reader
from imbtui.numerics.pruning import remaining_counts
from imbtui.paths import RunPaths, RunsPaths
from imbtui.recipe import Study, load_study
from imbtui.verdict import check_claims, judge_study


def create(runs: RunsPaths, study: Study) -> list[RunPaths]:
    return [runs.run(folders.create(runs, p, study=study, gpus="cpu", here=False)) for p in study.runs]


def train(run: RunPaths) -> dict[str, Any]:
    session.train_run(run, attempt=session.attempt_of(run), stop_flag=[], provenance={})
    return json.loads(run.result.read_text())


def masks_of(run: RunPaths) -> dict[str, dict[str, torch.Tensor]]:
    return {
        path.stem.removeprefix("masks-"): load_file(path)
        for path in sorted(run.artifacts.glob("masks-*.safetensors"))
    }


def test_the_quick_study_is_that_of_the_specification() -> None:
    """frankle2019 §10."""
    study = load_study("frankle2019/quick")
    assert len(study.seeds) == 5
    recipe = study.runs[0].recipe
    assert (recipe.dataset.options["n_train"], recipe.dataset.options["n_val"]) == (1000, 300)
    assert recipe.model.options["hidden"] == [100, 50]
    assert (recipe.optimizer.name, recipe.optimizer.lr) == ("adam", 1.2e-3)
    assert (recipe.train.steps, recipe.train.batch_size, recipe.train.drop_last) == (300, 60, True)
    (lottery,) = recipe.methods
    assert (lottery.options["rounds"], lottery.options["control_rounds"]) == (12, [6, 12])
    sizes = {6400: 0.2, 5000: 0.2, 500: 0.1}
    for level, percent in ((6, 27.3), (12, 7.8)):
        left = sum(remaining_counts(size, rate, level)[-1] for size, rate in sizes.items())
        assert round(100 * left / sum(sizes), 1) == percent
    assert [claim.asserted for claim in study.claims] == [True] * 4 + [False] * 3
    check_claims(study.record())


def test_a_short_quick_study_can_be_judged(runs: RunsPaths) -> None:
    study = load_study("frankle2019/quick", ["train.steps=10"], seeds=[0])
    (run,) = create(runs, study)
    assert train(run)["state"] == "finished"
    found = judge_study(study.record(), by_digest([store.read(run)]))
    assert {verdict.verdict for verdict in found} == {"undecided"}
    assert all(verdict.reason == "one seed decides nothing" for verdict in found)
    reader, view = Reader(), store.read(run)
    densities = [reader.value(view, "lottery/density", stage=f"level-{n}") for n in (0, 6, 12)]
    assert [round(100 * value, 1) for value in densities] == [100.0, 27.3, 7.8]
    assert len(masks_of(run)) == 13 + 4


def test_everything_at_once_trains_and_restarts(runs: RunsPaths) -> None:
    study = load_study("everything", ["train.epochs=3", "train.evaluate_every=1"])
    (run,) = create(runs, study)
    first = train(run)
    assert first["state"] == "finished", first["reason"]
    assert first["metrics"]["lottery/level"] == 3
    labels = load_labels(run)
    assert 0.02 < labels.float().mean() < 0.25, "some labels are noisy"
    counts = json.loads(run.env.read_text())["class_counts"]
    assert sum(counts) == sum(long_tail_counts(120, 10, 20))
    masks, rows = masks_of(run), run.metrics.read_text()
    folders.update_submit(run, attempt=2)
    again = train(run)
    assert again["metrics"] == first["metrics"]
    assert run.metrics.read_text() == rows
    assert all(torch.equal(masks[s][k], m[k]) for s, m in masks_of(run).items() for k in m)


def load_labels(run: RunPaths) -> torch.Tensor:
    import numpy as np

    with np.load(run.artifacts / "training_labels.npz") as stored:
        return torch.from_numpy(stored["is_corrupted"])


@pytest.mark.slow
def test_everything_at_once_learns(runs: RunsPaths) -> None:
    (run,) = create(runs, load_study("everything"))
    train(run)
    reader, view = Reader(), store.read(run)
    for level in range(4):
        assert reader.value(view, "test/balanced_accuracy", stage=f"level-{level}") > 0.7


@pytest.mark.slow
def test_the_quick_study_holds(runs: RunsPaths) -> None:
    """Must show 8: every asserted claim of the recipe, and the numbers of frankle2019 §10 within noise."""
    study = load_study("frankle2019/quick")
    created = create(runs, study)
    start(*created).wait(timeout=900)
    views = [store.read(run) for run in created]
    assert [view.state for view in views] == ["finished"] * 5
    found = judge_study(study.record(), by_digest(views))
    assert [v.verdict for v in found if v.asserted] == ["held"] * 4, found
    reader = Reader()

    def mean(stage: str) -> float:
        values = [reader.value(v, "test/accuracy", "argmin:val/loss", stage) for v in views]
        return sum(values) / len(values)

    # Two independent prototypes: ticket .930 and .933, new weights .861 and .844, random mask .739 and .755.
    assert mean("level-0") == pytest.approx(0.963, abs=0.015)
    assert mean("level-12") == pytest.approx(0.932, abs=0.02)
    assert mean("level-12-random_reinit") == pytest.approx(0.853, abs=0.04)
    assert mean("level-12-random_mask") == pytest.approx(0.747, abs=0.06)


@pytest.mark.slow
def test_controls_of_initial_weights_hold(held: Callable[[str], list[store.RunView]]) -> None:
    held("frankle2019/digits-controls")


@pytest.mark.slow
def test_killed_at_random_moments_the_quick_study_ends_with_identical_masks(runs: RunsPaths) -> None:
    study = load_study("frankle2019/quick", ["train.checkpoint_every=20it"], seeds=[0])
    (undisturbed,), (run,) = create(runs, study), create(runs, study)
    assert start(undisturbed).wait(timeout=300) == 0
    seconds = json.loads(undisturbed.result.read_text())["seconds"]
    rng = random.Random(0)
    killed = 0
    while store.read(run).state != "finished":
        process = start(run)
        if killed < 8:
            # The moment is random on purpose; nothing waits for it to have happened.
            time.sleep(5 + rng.uniform(0, 0.5 * seconds))
            for rank in store.registered(run, session.attempt_of(run)):
                killed += rank.signal(signal.SIGKILL)
        process.wait(timeout=300)
        if store.read(run).state != "finished":
            folders.update_submit(run, attempt=session.attempt_of(run) + 1)
    assert killed
    before, after = masks_of(undisturbed), masks_of(run)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[s][k], after[s][k]) for s in before for k in before[s])
    first, second = (json.loads(r.result.read_text())["metrics"] for r in (undisturbed, run))
    assert {k: v for k, v in first.items() if not k.startswith("running/")} == {
        k: v for k, v in second.items() if not k.startswith("running/")
    }


def start(*created: RunPaths) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "imbtui.engine", *(str(run.root) for run in created)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
