"""Tables: what a cell averages, what stands beside it, and the three formats."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from imbtui import files, store
from imbtui.errors import UserError
from imbtui.members import Member, by_digest, members_of
from imbtui.paths import RunPaths, RunsPaths
from imbtui.report import Table, pivot, render

STUDY = """
title = "two arms"
seeds = [0, 1, 2]
[dataset]
name = "digits"
protocol = "long_tail"
[[corruptions]]
name = "long_tail"
n_max = 120
[model]
name = "mlp"
[[arms]]
label = "CE & co_1"
[[arms]]
label = "LDAM"
set = { "loss.name" = "ldam", "model.head" = "cosine" }
[grid]
"corruptions.long_tail.ratio" = [100, 10]
[[reported]]
where = { arm = "LDAM", "corruptions.long_tail.ratio" = 100 }
metric = "test/error"
value = 0.23
source = "table 2"
confidence = "memory"
[[reported]]
where = { "loss.name" = "ldam", "corruptions.long_tail.ratio" = 10 }
metric = "test/accuracy"
value = 0.88
source = "table 2"
confidence = "verified"
"""
RATIO = "corruptions.long_tail.ratio"
Made = Callable[..., list[RunPaths]]


def finish(run: RunPaths, metrics: Mapping[str, Any], best: Mapping[str, Any] | None = None) -> None:
    files.write_json(run.result, {"attempt": 1, "state": "finished", "metrics": dict(metrics), "best": best})


def study_members(runs: RunsPaths) -> tuple[list[Member], list[dict[str, Any]]]:
    (record,) = store.studies(runs)
    views = by_digest(store.read(runs.run(i)) for i in store.list_ids(runs))
    return members_of(record, views), record["reported"]


@pytest.fixture
def finished(make_runs: Made, runs: RunsPaths) -> RunsPaths:
    """Accuracies 0.5 (CE) and 0.7 (LDAM), + 0.1 at ratio 10, + 0.01 a seed; two LDAM runs are not done."""
    for run in make_runs(toml=STUDY):
        view = store.read(run)
        base = (0.7 if view.arm == "LDAM" else 0.5) + (0.1 if view.point[RATIO] == 10 else 0.0)
        if view.arm != "LDAM" or view.point[RATIO] != 10 or view.seed == 0:
            finish(run, {"test/accuracy": base + 0.01 * view.seed, "train/loss": 0.1})
    return runs


@pytest.fixture
def table(finished: RunsPaths) -> Table:
    members, reported = study_members(finished)
    return pivot(members, rows="arm", columns=RATIO, metric="test/accuracy", reported=reported)


def test_mean_and_deviation_over_seeds(table: Table) -> None:
    assert table.rows == ("CE & co_1", "LDAM")
    assert table.columns == ("10", "100")
    cell = table.cells[0][1]
    assert cell is not None and cell.spread is not None
    assert cell.spread.mean == pytest.approx(0.51) and cell.spread.sd == pytest.approx(0.01)
    assert cell.text() == "0.510 ± 0.010 (n=3)"


def test_a_single_seed_has_no_deviation(table: Table) -> None:
    cell = table.cells[1][0]
    assert cell is not None and cell.spread is not None and cell.spread.sd is None
    assert cell.text() == "0.800 (n=1 of 3) [0.880]"


def test_reported_values_say_where_they_are_from(table: Table) -> None:
    cell = table.cells[1][1]
    assert cell is not None and cell.reported is not None
    assert cell.reported.value == pytest.approx(0.77)  # an error of 0.23
    assert cell.text() == "0.710 ± 0.010 (n=3) [0.770†]"
    assert any("from memory" in note for note in table.notes)


def test_markdown(table: Table) -> None:
    assert render(table, "md") == (
        "| arm \\\\ corruptions.long_tail.ratio | 10 | 100 |\n"
        "| --- | ---: | ---: |\n"
        "| CE & co_1 | 0.610 ± 0.010 (n=3) | 0.510 ± 0.010 (n=3) |\n"
        "| LDAM | 0.800 (n=1 of 3) [0.880] | 0.710 ± 0.010 (n=3) [0.770†] |\n"
        "\n"
        "test/accuracy: mean ± sd over n seeds.\n"
        "[ ] reported by the paper; † from memory, not checked against it.\n"
    )


def test_csv_is_read_back(table: Table) -> None:
    header, ce, ldam = csv.reader(io.StringIO(render(table, "csv")))
    assert header[:6] == [f"arm \\ {RATIO}", "10 mean", "10 sd", "10 n", "10 reported", "10 confidence"]
    assert ce[0] == "CE & co_1" and float(ce[1]) == pytest.approx(0.61) and ce[3:6] == ["3", "", ""]
    assert ldam[2:6] == ["", "1", "0.88", "verified"]
    assert len(header) == len(ce) == len(ldam) == 11


def test_latex_escapes_everything(table: Table) -> None:
    text = render(table, "latex")
    assert "\\toprule" in text and "\\bottomrule" in text
    assert "CE \\& co\\_1 & 0.610 $\\pm$ 0.010 (n=3) & 0.510 $\\pm$ 0.010 (n=3) \\\\" in text
    assert "0.710 $\\pm$ 0.010 (n=3) {[}0.770$^\\dagger${]}" in text
    assert "arm \\textbackslash{} corruptions.long\\_tail.ratio" in text
    assert "†" not in text and "±" not in text


def test_json_keeps_every_value(table: Table) -> None:
    document = table.to_json()
    assert document["cells"][0][1]["measured"]["values"] == {"0": 0.5, "1": 0.51, "2": 0.52}
    assert document["cells"][1][1]["reported"]["verified"] is False


def test_recipe_keys_names_and_seeds_are_axes(finished: RunsPaths) -> None:
    members, _ = study_members(finished)
    by_loss = pivot(members, rows="loss", columns="dataset", metric="test/accuracy")
    assert by_loss.rows == ("cross_entropy", "ldam") and by_loss.columns == ("digits",)
    assert f"Cells average over {RATIO}." in by_loss.notes
    by_seed = pivot(members, rows="seed", columns="arm", metric="train/loss")
    assert by_seed.rows == ("0", "1", "2")
    alone = pivot(members, rows="model.head", columns=None, metric="test/accuracy")
    assert alone.corner == "model.head" and alone.columns == ("test/accuracy",)


def test_what_a_cell_mixes_is_said(finished: RunsPaths) -> None:
    members, reported = study_members(finished)
    mixed = pivot(members, rows="dataset", columns=None, metric="test/accuracy", reported=reported)
    assert f"Cells average over arm, {RATIO}." in mixed.notes
    # A number for one ratio does not stand beside an average over both.
    assert mixed.cells[0][0] is not None and mixed.cells[0][0].reported is None


def test_runs_without_a_study(finished: RunsPaths) -> None:
    views = [store.read(finished.run(i)) for i in store.list_ids(finished)]
    members = [Member(view.arm, view.point, view.seed, view) for view in by_digest(views).values()]
    table = pivot(members, rows="arm", columns=RATIO, metric="test/accuracy")
    assert set(table.rows) == {"CE & co_1", "LDAM"}


def test_a_cell_may_hold_an_expression(finished: RunsPaths) -> None:
    members, _ = study_members(finished)
    above_ce = 'm("test/accuracy") - m("test/accuracy", arm = "CE & co_1")'
    table = pivot(members, rows="arm", columns=RATIO, metric=above_ce)
    assert [[cell.text(2) for cell in row if cell] for row in table.cells] == [
        ["0.00 ± 0.00 (n=3)", "0.00 ± 0.00 (n=3)"],
        ["0.20 (n=1 of 3)", "0.20 ± 0.00 (n=3)"],
    ]


def test_nothing_has_run_yet(make_runs: Made, runs: RunsPaths) -> None:
    make_runs(toml=STUDY)
    members, reported = study_members(runs)
    table = pivot(members, rows="arm", columns=RATIO, metric="test/accuracy", reported=reported)
    assert "| LDAM | - [0.880] | - [0.770†] |" in render(table, "md")
    nobody = [Member(m.arm, m.point, m.seed) for m in members]
    assert pivot(nobody, rows="loss", columns=None, metric="test/accuracy").rows == ()


def test_a_run_that_lacks_the_metric_is_named(finished: RunsPaths) -> None:
    for run_id in store.list_ids(finished):
        view = store.read(finished.run(run_id))
        if view.arm == "LDAM" and view.seed == 2 and view.state == "finished":
            finish(finished.run(run_id), {"train/loss": 1.0})
    members, _ = study_members(finished)
    table = pivot(members, rows="arm", columns=RATIO, metric="test/accuracy")
    assert "LDAM, ratio = 100 seed 2: it has no metrics" in table.notes
    assert table.cells[1][1] is not None and "n=2 of 3" in table.cells[1][1].text()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"rows": "amr"}, 'Did you mean "arm"'),
        ({"columns": "los.name"}, 'Did you mean "loss"'),
        ({"metric": "test/acuracy"}, 'Did you mean "test/accuracy"'),
        ({"metric": "a b"}, "cannot be read at column 3"),
        ({"metric": 'm("test/accuracy") - m("train/acuracy")'}, 'no run measured "train/acuracy"'),
        ({"at": "lasst"}, "does not say which value"),
        ({"at": "best"}, "no metrics|no validation split"),
    ],
)
def test_mistakes(finished: RunsPaths, changes: dict[str, str], says: str) -> None:
    members, _ = study_members(finished)
    asked: dict[str, Any] = {"rows": "arm", "columns": RATIO, "metric": "test/accuracy", **changes}
    with pytest.raises(UserError, match=says):
        pivot(members, **asked)


def test_labels_cannot_break_a_table(table: Table) -> None:
    odd = Table("m", "best", "a", ("x|y\nz",), ("#1 {^~}",), ((None,),), ())
    assert "| x\\|y z |  |" in render(odd, "md")
    assert "(at best)" in render(odd, "md")
    assert "\\#1 \\{\\textasciicircum{}\\textasciitilde{}\\}" in render(odd, "latex")
