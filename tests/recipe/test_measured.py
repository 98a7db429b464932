"""Which metrics a recipe records, told beforehand: misspelt names are refused, everything else is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from imbtui import metrics, plugins, store
from imbtui.errors import UserError
from imbtui.numerics.classification import ClassificationMetrics
from imbtui.numerics.regression import RegressionMetrics
from imbtui.paths import RunPaths, RunsPaths
from imbtui.recipe import load_study, measured
from imbtui.recipe.measured import EVALUATED, SPLITS, anywhere
from imbtui.verdict import check_claims

RECIPE = """
[dataset]
name = "digits"
protocol = "long_tail"
[model]
name = "mlp"
hidden = [16]
[train]
steps = 2
threads = 1
"""
CLAIM = """
[[claims]]
says = "it is so"
kind = "bound"
metric = '{metric}'
above = 0.5
"""
REPORTED = """
[[reported]]
where = {{ "loss.name" = "cross_entropy" }}
metric = '{metric}'
value = 0.5
source = "table 1"
confidence = "memory"
"""


def check(tmp_path: Path, text: str, *assignments: str, **options: Any) -> None:
    path = tmp_path / "study.toml"
    path.write_text(text)
    check_claims(load_study(path, assignments, **options).record())


@pytest.mark.parametrize("table", [CLAIM, REPORTED], ids=["claim", "reported"])
@pytest.mark.parametrize(
    ("metric", "hint"),
    [
        ("test/acuracy", 'Did you mean "test/accuracy"?'),
        ('m("test/accuracy") - m("tset/accuracy")', 'Did you mean "test/accuracy"?'),
        ("val/accuracy", "set dataset.validation"),
        ("norms/weights", 'Add the probe "norms".'),
        ("lottery/density", 'Add the method "lottery".'),
        ("running/twin_loss", 'Did you mean "running/loss"?'),
        ("test/mse", "Did you mean"),
    ],
)
def test_what_no_run_measures_is_refused(tmp_path: Path, table: str, metric: str, hint: str) -> None:
    with pytest.raises(UserError, match="no run measures") as caught:
        check(tmp_path, RECIPE + table.format(metric=metric))
    assert hint in caught.value.hint
    assert caught.value.where.startswith(("claims (it is so)", "reported (table 1)"))


@pytest.mark.parametrize(
    ("method", "stage", "hint"),
    [
        ("", "tran", 'Did you mean "train"?'),
        ("", "level-3", "train"),
        ('[[methods]]\nname = "lottery"\n', "levl-12", 'Did you mean "level-12"?'),
        (
            '[[methods]]\nname = "lottery"\n',
            "level-12-random_reinitt",
            'Did you mean "level-12-random_reinit"?',
        ),
        ('[[methods]]\nname = "estimate_transition"\n', "correctd", 'Did you mean "corrected"?'),
    ],
)
@pytest.mark.parametrize("place", ["claim", "expression"])
def test_a_stage_that_no_run_has_is_refused(
    tmp_path: Path, method: str, stage: str, hint: str, place: str
) -> None:
    claim = CLAIM.format(metric="test/accuracy") + f'stage = "{stage}"\n'
    if place == "expression":
        claim = CLAIM.format(metric=f'm("test/accuracy", stage = "{stage}")')
    with pytest.raises(UserError, match=f'no run has a stage "{stage}"') as caught:
        check(tmp_path, RECIPE + method + claim)
    assert hint in caught.value.hint


@pytest.mark.parametrize("name", ["lottery", "estimate_transition", "example_difficulty"])
def test_methods_tell_beforehand_the_stages_they_plan(name: str) -> None:
    declared = plugins.literal("method", name, "STAGES")
    method: Any = SimpleNamespace(
        rewind="5it", levels=range(3), control_rounds=[1], retrains=True, networks=3
    )
    method.controls = ["random_reinit", "random_mask", "random_mask_global", "prune_at_init"]
    method.controls += ["reinit_from_ticket", "noise_1", "noise_0.5"]
    for stage in plugins.load("method", name).stages(method):
        measured.check_stage(stage, declared, where="")


def test_a_split_without_validation_examples_measures_nothing_of_them(tmp_path: Path) -> None:
    split = RECIPE.replace('protocol = "long_tail"', 'protocol = "split"\n{n_val}')
    claim = CLAIM.format(metric="val/accuracy")
    check(tmp_path, split.format(n_val="") + claim)
    with pytest.raises(UserError, match='no run measures "val/accuracy"') as caught:
        check(tmp_path, split.format(n_val="n_val = 0") + claim)
    assert "no validation split" in caught.value.hint


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ('kind = "bound"\nabove = 0.5\nat = "argmax:test/acuracy"', 'no run measures "test/acuracy"'),
        ('kind = "bound"\nabove = 0.5\nat = "best"', "needs a validation split"),
        (
            'kind = "peak"\nover = "optimizer.lr"\nthreshold = { metric = "train/eror", below = 0 }',
            "train/eror",
        ),
    ],
    ids=["argmax", "best", "threshold"],
)
def test_all_places_of_a_claim_are_looked_at(tmp_path: Path, keys: str, sentence: str) -> None:
    claim = f'[[claims]]\nsays = "it is so"\nmetric = "test/accuracy"\n{keys}\n'
    with pytest.raises(UserError) as caught:
        check(tmp_path, f'{RECIPE}[grid]\n"optimizer.lr" = [0.1, 0.2, 0.3]\n{claim}')
    assert sentence in caught.value.sentence


@pytest.mark.parametrize(
    ("metric", "wanted"),
    [
        ("epoch", ""),
        ('reach("running/loss", "<= 0.1")', ""),
        ("running/alignment", "[[methods]]\nname = 'diversity'\n"),
        ("adversarial_accuracy/pgd_0.25", "[[probes]]\nname = 'adversarial_accuracy'\neps = [0.25]\n"),
        ("norms/weight/layers.0", "[[probes]]\nname = 'norms'\n"),
        ("cka/layers.2", "[[probes]]\nname = 'cka'\nagainst = 'x'\n"),
    ],
)
def test_what_runs_measure_is_accepted(tmp_path: Path, metric: str, wanted: str) -> None:
    check(tmp_path, RECIPE + wanted + CLAIM.format(metric=metric))


def test_values_of_options_are_names(tmp_path: Path) -> None:
    probe = "[[probes]]\nname = 'adversarial_accuracy'\neps = [0.25]\n"
    with pytest.raises(UserError, match=r"pgd_0\.5") as caught:
        check(tmp_path, RECIPE + probe + CLAIM.format(metric="adversarial_accuracy/pgd_0.5"))
    assert "adversarial_accuracy/pgd_0.25" in caught.value.hint


def test_a_probe_that_is_switched_off_for_once_takes_no_claims_with_it(tmp_path: Path) -> None:
    text = RECIPE + "[[probes]]\nname = 'norms'\n" + CLAIM.format(metric="norms/weights")
    check(tmp_path, text, "probes.norms=false")
    with pytest.raises(UserError, match="norms/wieghts"):
        check(tmp_path, text.replace("norms/weights", "norms/wieghts"), "probes.norms=false")


def test_a_run_ends_early_on_what_evaluations_hold(tmp_path: Path) -> None:
    until = RECIPE + 'until = { metric = "train/acuracy", reaches = 0.9 }\n'
    with pytest.raises(UserError, match="train/acuracy") as caught:
        check(tmp_path, until)
    assert caught.value.where.endswith("train.until.metric")
    probe = until.replace("train/acuracy", "norms/weights") + "[[probes]]\nname = 'norms'\n"
    with pytest.raises(UserError, match="norms/weights"):
        check(tmp_path, probe)
    check(tmp_path, until.replace("acuracy", "accuracy"))


def test_code_from_outside_is_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own.py").write_text(
        "from imbtui.engine.method import Probe\n"
        "METRICS = ('one',)\n"
        "class Own(Probe):\n    pass\n"
        "build = Own\n"
    )
    (tmp_path / "silent.py").write_text((tmp_path / "own.py").read_text().replace("METRICS = ('one',)\n", ""))
    monkeypatch.syspath_prepend(str(tmp_path))
    for metric, name in (("own:Own/one", "own:Own"), ("silent:Own/anything", "silent:Own")):
        text = RECIPE + f"[[probes]]\nname = '{name}'\n" + CLAIM.format(metric=metric)
        check(tmp_path, text, allow_plugins=True)
    with pytest.raises(UserError, match="own:Own/two"):
        text = RECIPE + "[[probes]]\nname = 'own:Own'\n" + CLAIM.format(metric="own:Own/two")
        check(tmp_path, text, allow_plugins=True)


def test_evaluations_hold_what_is_said(
    make_runs: Callable[..., list[RunPaths]], train: Callable[[RunPaths], Any], runs: RunsPaths
) -> None:
    (run,) = make_runs("corruptions.label_noise={kind='symmetric', rate=0.5}", toml=RECIPE + CORRUPTED)
    train(run)
    recorded = set(metrics.names(metrics.read_rows(run.metrics)[0]))
    (record,) = store.studies(runs)
    assert {n for n in record["metrics"] if n.startswith("train/")} == {
        n for n in recorded if n.startswith("train/")
    }


CORRUPTED = """
shots = [12, 14]
[[corruptions]]
name = "long_tail"
ratio = 4
n_max = 20
"""


def test_metrics_of_both_tasks_are_those_computed() -> None:
    computed = {*ClassificationMetrics(3, [1, 50, 500]).compute(), "loss"}
    groups = {f"{group}_accuracy" for group in ("many", "medium", "few")}
    corrupted = {"corrupted_accuracy", "corrupted_true_accuracy", "clean_accuracy"}
    assert set(EVALUATED["classification"]) == computed | groups | corrupted
    assert set(EVALUATED["regression"]) == {*RegressionMetrics().compute(), "loss"}


def test_every_probe_says_what_it_records() -> None:
    for probe in plugins.names("probe"):
        assert plugins.literal("probe", probe, "METRICS"), probe
        assert any(name.startswith(f"{probe}/") for name in anywhere())
    assert {name.partition("/")[0] for name in anywhere()} >= set(SPLITS)
