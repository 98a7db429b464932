"""What is known of a paper, from its recipes alone and with runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from imbtui import files, index
from imbtui.papers import BY_SLUG
from imbtui.paths import RunPaths, RunsPaths
from imbtui.recipe import load_study
from imbtui.report.papers import report_papers

STUDY = """
title = "mine"
paper = "ye2020"
seeds = [0, 1]
[dataset]
name = "digits"
[model]
name = "mlp"
[[arms]]
label = "CE"
[[reported]]
where = { arm = "CE" }
metric = "test/accuracy"
value = 0.66
source = "Table 1"
says = "top-1 accuracy"
confidence = "memory"
headline = true
[[claims]]
says = "CE learns"
kind = "bound"
metric = "test/accuracy"
arm = "CE"
above = 0.5
"""


def test_a_paper_that_nobody_ran_has_recipes_claims_and_numbers(runs: RunsPaths) -> None:
    (report,) = report_papers(runs, [BY_SLUG["cao2019"]])
    assert "cao2019/quick" in report.recipes
    quick = next(study for study in report.studies if study.name == "cao2019/quick")
    assert quick.says and quick.asked > 1 and not quick.variant and not quick.verdicts
    assert (report.progress, quick.progress, report.verdict) == ("not run", "not run", "not run")
    assert report.numbers and all(number.measured is None for number in report.numbers)


def test_its_runs_are_counted_measured_and_judged(
    make_runs: Callable[..., list[RunPaths]], runs: RunsPaths
) -> None:
    first, second = make_runs(toml=STUDY, name="mine")
    for number, (run, expected) in enumerate([(first, "1 of 2 runs, 1 to come"), (second, "2 runs")]):
        metrics = {"test/accuracy": 0.9 + 0.01 * number}
        files.write_json(run.result, {"attempt": 1, "state": "finished", "metrics": metrics, "best": {}})
        index.sync(runs)
        (report,) = report_papers(runs, [BY_SLUG["ye2020"]])
        assert report.progress == expected
    mine = next(study for study in report.studies if study.name == "mine")
    assert report.verdict == mine.verdicts[0].verdict == "held"
    assert "0.905" in mine.verdicts[0].figures() and "n = 2" in mine.verdicts[0].figures()
    # The packaged recipe of cifar10-lt carries a headline too, but has not run.
    assert report.headline is not None and report.headline.of == "mine, CE: top-1 accuracy"
    assert report.headline.reported_text() == "0.660†"
    assert report.headline.measured_text() == "0.905 ± 0.007 (n=2)"


@pytest.mark.parametrize(
    ("metric", "text"),
    [
        ('m("test/accuracy", at = "max") - m("val/accuracy")', "0.350 ± 0.000 (n=2)"),
        ('m("test/accuracy") - m("test/accuracy", arm = "LDAM")', "-0.250 (n=1)"),
        ('reach("test/accuracy", ">= 0.9")', "2.000 ± 0.000 (n=2)"),
    ],
)
def test_a_reported_number_may_be_an_expression(
    make_runs: Callable[..., list[RunPaths]], runs: RunsPaths, metric: str, text: str
) -> None:
    """Seed 1 of the other arm has not finished, so that a difference from it has one value."""
    arms = STUDY.replace(
        "[[reported]]", '[[arms]]\nlabel = "LDAM"\nset = { "loss.name" = "ldam" }\n[[reported]]'
    )
    made = make_runs(
        toml=arms.replace('metric = "test/accuracy"\nvalue', f"metric = '{metric}'\nvalue"), name="mine"
    )
    for number, run in enumerate(made[:3]):
        accuracies = (0.5, 0.9, 0.75) if number < 2 else (1.0,)
        rows = [
            {"stage": "train", "step": step, "epoch": step, "test/accuracy": accuracy, "val/accuracy": 0.55}
            for step, accuracy in enumerate(accuracies, 1)
        ]
        files.write_atomic(run.metrics, "\n".join(map(json.dumps, rows)) + "\n")
        last = {"test/accuracy": accuracies[-1], "val/accuracy": 0.55}
        files.write_json(run.result, {"attempt": 1, "state": "finished", "metrics": last, "best": {}})
    index.sync(runs)
    (report,) = report_papers(runs, [BY_SLUG["ye2020"]])
    assert next(n for n in report.numbers if n.study == "mine").measured_text() == text


def test_a_measured_number_does_not_take_a_headlines_place(
    make_runs: Callable[..., list[RunPaths]], runs: RunsPaths
) -> None:
    for run in make_runs(toml=STUDY.replace("headline = true\n", ""), name="mine"):
        metrics = {"test/accuracy": 0.9}
        files.write_json(run.result, {"attempt": 1, "state": "finished", "metrics": metrics, "best": {}})
    index.sync(runs)
    (report,) = report_papers(runs, [BY_SLUG["ye2020"]])
    assert any(number.measured is not None for number in report.numbers)
    assert report.headline is not None and report.headline.headline and report.headline.measured is None


def test_a_recipe_that_cannot_be_read_says_so(
    runs: RunsPaths, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pathlib import Path

    folder = Path(str(tmp_path)) / "recipes" / "ye2020"
    folder.mkdir(parents=True)
    (folder / "broken.toml").write_text("title = ")
    monkeypatch.chdir(folder.parent.parent)
    warned: list[str] = []
    (report,) = report_papers(runs, [BY_SLUG["ye2020"]], warn=warned.append)
    broken = next(study for study in report.studies if study.name == "ye2020/broken")
    assert "not valid TOML" in broken.trouble and "ye2020/broken" in warned[0]


def test_a_recipe_is_read_again_only_when_it_has_changed(
    runs: RunsPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tmp_path / "ye2020" / "quick.toml"
    recipe.parent.mkdir()
    recipe.write_text(STUDY)
    monkeypatch.setattr("imbtui.recipe.library.packaged", lambda: tmp_path)
    monkeypatch.chdir(tmp_path)
    read: list[str] = []
    monkeypatch.setattr("imbtui.report.papers.load_study", lambda name: read.append(name) or load_study(name))
    for text, title in ((STUDY, "mine"), (STUDY.replace('"mine"', '"another"'), "another")):
        recipe.write_text(text)
        for _ in range(3):
            (report,) = report_papers(runs, [BY_SLUG["ye2020"]])
            assert report.studies[0].title == title
    assert read == ["ye2020/quick", "ye2020/quick"]
