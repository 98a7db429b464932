"""Runs in groups: seeds together, arms beside each other."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from imbtui import files, store
from imbtui.members import by_digest
from imbtui.paths import RunPaths, RunsPaths
from imbtui.report.groups import compare_groups, metric_names, of_study, over_seeds, single

STUDY = """
seeds = [0, 1, 2]
[dataset]
name = "digits"
[model]
name = "mlp"
[[arms]]
label = "CE"
[[arms]]
label = "LDAM"
set = { "loss.name" = "ldam", "model.head" = "cosine" }
"""
Made = Callable[..., list[RunPaths]]


def finish(run: RunPaths, value: float) -> None:
    metrics = {"test/balanced_accuracy": value, "train/loss": 1 - value, "test/class_accuracy": [0.1]}
    files.write_json(run.result, {"attempt": 1, "state": "finished", "metrics": metrics, "best": {}})


@pytest.fixture
def views(make_runs: Made) -> list[store.RunView]:
    """Two arms x three seeds; the last seed of the second arm has not run."""
    folders = make_runs(toml=STUDY)
    for run, value in zip(folders, [0.5, 0.52, 0.54, 0.6, 0.64], strict=False):
        finish(run, value)
    return [store.read(run) for run in folders]


def test_runs_that_differ_in_the_seed_alone_are_one_group(views: list[store.RunView]) -> None:
    ldam, ce = over_seeds([*reversed(views)])
    assert (ce.label, ldam.label) == ("CE", "LDAM")
    assert [member.seed for member in ce.members] == [0, 1, 2]
    assert (ce.size_text, ldam.size_text) == ("3", "2 of 3")
    assert set(ce.ids) == {view.id for view in views[:3]}


def test_single_runs_are_named_by_their_seed(views: list[store.RunView]) -> None:
    assert [group.label for group in single(views[:2])] == ["CE, seed 0", "CE, seed 1"]
    twice = [group.label for group in single([views[0], views[0]])]
    assert twice == [f"CE, seed 0 {views[0].id[:6]}"] * 2
    (key,) = compare_groups(single(views[:2])).recipe
    assert (key.key, key.values) == ("seeds", ([0], [1]))


def test_a_studys_arms_count_the_runs_that_it_asks_for(views: list[store.RunView], runs: RunsPaths) -> None:
    (record,) = store.studies(runs)
    groups = of_study(record, by_digest(views[:4]))
    assert [(g.label, len(g.members), g.size_text) for g in groups] == [("CE", 3, "3"), ("LDAM", 3, "1 of 3")]
    assert groups[1].ids == (views[3].id,)


def test_settings_metrics_and_differences(views: list[store.RunView]) -> None:
    found = compare_groups(over_seeds(views))
    recipe = {line.key: line.values for line in found.recipe}
    assert recipe["loss.name"] == ("cross_entropy", "ldam") and "seeds" not in recipe
    assert list(found.metrics) == ["test/balanced_accuracy", "train/loss"]
    ce, ldam = found.metrics["test/balanced_accuracy"]
    assert ce is not None and ldam is not None
    assert (ce.text(), ldam.text()) == ("0.520 ± 0.020", "0.620 ± 0.028")
    difference = found.difference("test/balanced_accuracy", 1, 0)
    assert difference.n == 2 and difference.mean == pytest.approx(0.11)
    document = json.loads(json.dumps(found.to_json("test/balanced_accuracy")))
    assert document["differences"]["groups"][0] is None
    assert document["differences"]["groups"][1]["n"] == 2


def test_groups_without_finished_runs_have_no_metrics(views: list[store.RunView]) -> None:
    groups = over_seeds(views[5:])
    assert metric_names(groups) == [] and compare_groups(groups).metrics == {}
    assert compare_groups(groups).to_json("test/accuracy")["differences"]["groups"] == []
