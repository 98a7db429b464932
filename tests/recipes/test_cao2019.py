"""The quick study of Cao et al. 2019, as a user runs it."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable

import pytest

from imbtui import store
from imbtui.engine.optim import lr_at
from imbtui.engine.tick import Tick
from imbtui.recipe import load_study

Held = Callable[[str], list[store.RunView]]

# Mean balanced accuracy over five seeds, as two independent implementations measured it; seeds differ by
# 0.02 to 0.04 in which digits are rare, so twenty other seeds lie within 0.03 of these.
MEASURED = {"CE": 0.707, "RW": 0.814, "DRW": 0.811, "LDAM": 0.772, "LDAM-RW": 0.817, "LDAM-DRW": 0.841}


def test_the_study_has_every_arm_and_one_digest_a_run() -> None:
    study = load_study("cao2019/quick")
    assert {run.arm for run in study.runs} >= MEASURED.keys()
    assert len({run.digest for run in study.runs}) == len(study.runs)
    assert not study.warnings


@pytest.mark.parametrize(
    "name", ["cifar10-lt", "cifar10-lt10", "cifar10-step", "cifar100-lt", "cifar100-step"]
)
def test_the_paper_s_schedule_and_deferred_weights_epoch_by_epoch(name: str) -> None:
    """cao2019 §5 counts epochs from 1; §2.3: the weights come in with the first drop, at index 160."""
    recipe = next(run.recipe for run in load_study(f"cao2019/{name}").runs if run.arm == "LDAM-DRW")
    (weights,) = recipe.methods
    for index in range(200):
        t = Tick("train", index * 97, 97, 200 * 97)  # 12,406 images in batches of 128
        e = index + 1
        lr = 0.1 * (e / 5 if e <= 5 else 1 if e <= 160 else 0.01 if e <= 180 else 0.0001)
        assert lr_at(recipe.schedule, recipe.optimizer.lr, t) == pytest.approx(lr, rel=1e-12), index
        assert t.reached(weights.options["start_epoch"]) == (index >= 160), index


@pytest.mark.slow
def test_every_asserted_claim_of_the_quick_study_is_held(held: Held) -> None:
    views = held("cao2019/quick")
    values = defaultdict(list)
    for view in views:
        values[view.arm].append(view.metrics["test/balanced_accuracy"])
    for arm, expected in MEASURED.items():
        assert statistics.mean(values[arm]) == pytest.approx(expected, abs=0.03), arm
