"""Whole studies on real run folders: what is missing, who stands for whom, and what a recipe may claim."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from imbtui import files, folders, store
from imbtui.errors import UserError
from imbtui.paths import RunPaths, RunsPaths
from imbtui.recipe import known, load_study
from imbtui.verdict import Verdict, by_digest, check_claims, judge_study, overall

STUDY = """
title = "two arms"
paper = "cao2019"
seeds = [0, 1, 2]
[dataset]
name = "digits"
validation = 0.2
[model]
name = "mlp"
[[arms]]
label = "CE"
[[arms]]
label = "LDAM"
set = { "loss.name" = "ldam", "model.head" = "cosine" }
"""
ORDER = """
[[claims]]
says = "LDAM above CE"
kind = "order"
metric = "test/accuracy"
arm = "LDAM"
above = "CE"
"""

Made = Callable[..., list[RunPaths]]


def finish(run: RunPaths, *accuracies: float, best: bool = True, state: str = "finished") -> None:
    """End a run with these test accuracies after epochs 1, 2, ...; the first is the best by validation."""
    rows = [
        {"stage": "train", "step": 10 * e, "epoch": e, "time": 0.1, "test/accuracy": a, "val/accuracy": 1 / e}
        for e, a in enumerate(accuracies, 1)
    ]
    files.write_atomic(run.metrics, b"".join(orjson.dumps(r) + b"\n" for r in rows))
    chosen = {"test/accuracy": accuracies[0], "selected_on": "val/accuracy"} if best else None
    result = {"attempt": 1, "state": state, "metrics": {"test/accuracy": accuracies[-1]}, "best": chosen}
    files.write_json(run.result, result)


def verdicts(runs: RunsPaths) -> list[Verdict]:
    (record,) = store.studies(runs)
    return judge_study(record, by_digest(store.read(runs.run(i)) for i in store.list_ids(runs)))


def write(tmp_path: Path, text: str) -> dict[str, Any]:
    path = tmp_path / "study.toml"
    path.write_text(text)
    return load_study(path).record()


def test_a_study_from_recipe_to_verdict(make_runs: Made, runs: RunsPaths) -> None:
    made = make_runs(toml=STUDY + ORDER + "margin = 0.1\n")
    for run, accuracy in zip(made, (0.5, 0.6, 0.55, 0.7, 0.81, 0.74), strict=True):
        finish(run, 0.2, accuracy)
    (verdict,) = verdicts(runs)
    assert (verdict.verdict, verdict.study, verdict.paper, verdict.n) == ("held", "tiny", "cao2019", 3)
    document = json.loads(json.dumps(verdict.to_json()))
    assert document.keys() >= {
        "study",
        "paper",
        "says",
        "kind",
        "verdict",
        "effect",
        "low",
        "high",
        "p",
        "n",
        "test",
    }
    assert document["per_seed"] == {
        "0": pytest.approx(0.2),
        "1": pytest.approx(0.21),
        "2": pytest.approx(0.19),
    }


def test_what_is_missing_is_named(make_runs: Made, runs: RunsPaths) -> None:
    made = make_runs(toml=STUDY + ORDER)
    for run in made[:4]:
        finish(run, 0.5)
    finish(made[4], 0.5, state="failed")
    (verdict,) = verdicts(runs)
    assert verdict.verdict == "not run" and verdict.effect is None
    assert verdict.reason == "not finished: LDAM, seed 1 (failed); LDAM, seed 2 (queued)"
    folders.remove(runs, made[5].id)
    assert "LDAM, seed 2 (never run)" in verdicts(runs)[0].reason


def test_runs_a_claim_does_not_need_may_be_missing(make_runs: Made, runs: RunsPaths) -> None:
    bound = (
        '[[claims]]\nsays = "CE learns"\nkind = "bound"\nmetric = "test/accuracy"\narm = "CE"\nabove = 0.4\n'
    )
    for run, accuracy in zip(make_runs(toml=STUDY + bound), (0.6, 0.61, 0.62), strict=False):
        finish(run, accuracy)
    assert verdicts(runs)[0].verdict == "held"


def test_a_finished_run_stands_for_a_later_failed_one(make_runs: Made, runs: RunsPaths) -> None:
    first = make_runs(toml=STUDY + ORDER)
    for run, accuracy in zip(first, (0.5, 0.6, 0.55, 0.7, 0.81, 0.74), strict=True):
        finish(run, accuracy)
    for run in make_runs(toml=STUDY + ORDER):
        finish(run, 0.0, state="failed")
    assert verdicts(runs)[0].verdict == "held"


def test_best_and_last_are_different_questions(make_runs: Made, runs: RunsPaths) -> None:
    best = ORDER.replace("LDAM above CE", "at the best epoch") + 'at = "best"\n'
    for run, (early, late) in zip(
        make_runs(toml=STUDY + ORDER + best),
        [(0.9, 0.1), (0.8, 0.2), (0.9, 0.1), (0.1, 0.8), (0.2, 0.9), (0.1, 0.9)],
        strict=True,
    ):
        finish(run, early, late)
    assert [v.verdict for v in verdicts(runs)] == ["held", "did not hold"]


def test_no_best_epoch_without_validation(make_runs: Made, runs: RunsPaths) -> None:
    for run in make_runs(toml=STUDY + ORDER + 'at = "best"\n'):
        finish(run, 0.5, best=False)
    (verdict,) = verdicts(runs)
    assert verdict.verdict == "not run" and "no validation split" in verdict.reason


def test_a_metric_nobody_measured(make_runs: Made, runs: RunsPaths) -> None:
    for run in make_runs(toml=STUDY + ORDER.replace("test/accuracy", "test/acuracy")):
        finish(run, 0.5)
    (verdict,) = verdicts(runs)
    assert verdict.verdict == "not run"
    assert 'CE, seed 0: test/acuracy was not measured. Did you mean "test/accuracy"?' in verdict.reason


def test_expressions_reach_into_curves(make_runs: Made, runs: RunsPaths) -> None:
    speed = """
[[claims]]
says = "LDAM is faster"
kind = "order"
metric = 'reach("test/accuracy", ">= 0.5")'
arm = "LDAM"
below = "CE"
[[claims]]
says = "LDAM gains more after the first epoch"
kind = "bound"
metric = 'm("test/accuracy", arm="LDAM") - m("test/accuracy", arm="LDAM", at="epoch:1")'
above = 0.1
"""
    curves = [
        (0.1, 0.2, 0.5),
        (0.1, 0.2, 0.3),
        (0.1, 0.2, 0.6),
        (0.3, 0.5, 0.6),
        (0.3, 0.6, 0.6),
        (0.3, 0.4, 0.6),
    ]
    for run, curve in zip(make_runs(toml=STUDY + speed), curves, strict=True):
        finish(run, *curve)
    faster, gain = verdicts(runs)
    assert faster.per_seed == {0: -10, 1: -10, 2: 0}
    assert faster.verdict == "undecided"
    assert gain.verdict == "held" and gain.effect == pytest.approx(0.3)


def test_a_claim_of_another_version_is_shown(make_runs: Made, runs: RunsPaths) -> None:
    make_runs(toml=STUDY + ORDER)
    (path,) = runs.studies.iterdir()
    record = files.read_json(path)
    record["claims"][0] |= {"kind": "resonance"}
    (verdict,) = judge_study(record, {})
    assert verdict.verdict == "not run" and verdict.says == "LDAM above CE" and "resonance" in verdict.reason


def test_overall() -> None:
    def of(verdict: str, asserted: bool = True) -> Verdict:
        return Verdict("", "", "", "", "", verdict, asserted=asserted)

    assert overall([]) == "not run"
    assert overall([of("held"), of("did not hold", asserted=False)]) == "held"
    assert overall([of("held"), of("not run")]) == "not run"
    assert overall([of("undecided"), of("not run")]) == "undecided"
    assert overall([of("undecided"), of("did not hold"), of("held")]) == "did not hold"


GRID = '[grid]\n"train.epochs" = [1, 2, 4]\n'
TREND = """
[[claims]]
says = "it is so"
kind = "trend"
metric = "test/accuracy"
arm = "CE"
over = "train.epochs"
"""


@pytest.mark.parametrize(
    ("claim", "says"),
    [
        (ORDER.replace('"test/accuracy"', '\'m("x", arm = "LDA")\''), 'there is no arm "LDA"'),
        (ORDER.replace('"test/accuracy"', "'sqr(m(\"x\"))'"), 'Did you mean "sqrt"'),
        (ORDER + 'at = "lasst"\n', "does not say which value"),
        (ORDER + "within = 0.1\n", '"within" means nothing for kind "order"'),
        (ORDER.replace('above = "CE"', "above = []"), "nothing to compare"),
        (ORDER.replace('arm = "LDAM"', 'arm = { "train.epochs" = 3 }'), "3 is not a value of"),
        (ORDER.replace('arm = "LDAM"', 'arm = { "train.epoch" = 1 }'), 'Did you mean "train.epochs"'),
        (ORDER.replace('arm = "LDAM"', 'arm = { "train.epochs" = 1 }'), "which arm is meant"),
        (TREND + 'direction = "increasing"\nscale = "log-log"\n', '"scale" goes with "slope"'),
        (TREND + "slope = [1, 0]\n", "is empty"),
        (TREND.replace('"trend"', '"peak"') + "where = 4\n", "no inner point"),
        (
            TREND.replace('"trend"', '"count"').replace(
                'over = "train.epochs"', 'event = "3"\nagainst = "LDAM"'
            ),
            "not a comp",
        ),
        (
            TREND.replace('"trend"', '"bound"').replace('over = "train.epochs"', 'above = "LDAM"'),
            "with a number",
        ),
        (TREND.replace('"trend"', '"peak"') + "threshold = 3\n", "threshold = 3 is not a value of the grid"),
        (
            TREND.replace('"trend"', '"peak"') + 'threshold = { metric = "x" }\n',
            "table with metric and below",
        ),
        (TREND.replace('"trend"', '"bound"') + "above = 1\n", '"over" and "event" go together'),
    ],
)
def test_claims_are_checked_before_anything_runs(tmp_path: Path, claim: str, says: str) -> None:
    record = write(tmp_path, STUDY + GRID + claim)
    with pytest.raises(UserError, match=says) as caught:
        check_claims(record)
    assert caught.value.where.startswith("claims (")


@pytest.mark.parametrize("name", known())
def test_claims_of_packaged_recipes_can_be_judged(name: str) -> None:
    record = load_study(name).record()
    check_claims(record)
    assert {v.verdict for v in judge_study(record, {})} <= {"not run"}
