"""Curves: damaged files, repeated steps, and which value a selector means."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imbtui import metrics
from imbtui.errors import UserError
from imbtui.metrics import NotMeasured, Reader, pick, reach, series


def row(step: int, stage: str = "train", **values: Any) -> dict[str, Any]:
    named = {name.replace("_", "/", 1): value for name, value in values.items()}
    return {"stage": stage, "step": step, "epoch": step / 10, "time": 0.0, **named}


CURVE = [
    row(10, test_accuracy=0.3, val_loss=1.0),
    row(20, test_accuracy=0.5, val_loss=0.4),
    row(25, running_loss=0.7),
    row(30, test_accuracy=0.9, val_loss=0.6),
    row(40, test_accuracy=0.7, val_loss=0.4),
]


def write(path: Path, *lines: bytes) -> Path:
    path.write_bytes(b"".join(lines))
    return path


def test_damaged_lines_are_skipped_and_counted(tmp_path: Path) -> None:
    good = orjson.dumps(CURVE[0])
    path = write(
        tmp_path / "metrics.jsonl",
        good,
        b"\n",
        b"{torn",
        b"\n[1]\n{}\n\n",
        b"\xff\xfe\n",
        good,
        b"\n",
        good[:-9],
    )
    rows, bad = metrics.read_rows(path)
    assert rows == [CURVE[0], CURVE[0]]
    assert bad == 5


def test_an_absent_file_has_no_rows(tmp_path: Path) -> None:
    assert metrics.read_rows(tmp_path / "none.jsonl") == ([], 0)


@given(st.binary(max_size=300))
def test_no_bytes_make_reading_fail(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("rows") / "metrics.jsonl"
    rows, bad = metrics.read_rows(write(path, data, b"\n", orjson.dumps(CURVE[0])))
    assert rows[-1] == CURVE[0] and bad <= data.count(b"\n") + 1


def test_null_and_nan_are_not_numbers(tmp_path: Path) -> None:
    line = b'{"stage": "train", "step": 3, "epoch": 1, "test/loss": NaN}\n'
    rows, bad = metrics.read_rows(write(tmp_path / "m", line, orjson.dumps(row(5, test_loss=math.nan))))
    assert bad == 0
    assert all(math.isnan(v) for v in series(rows, "test/loss").values)


def test_a_repeated_step_counts_once_with_its_last_value() -> None:
    rows = [
        row(10, test_accuracy=0.1),
        row(20, test_accuracy=0.2),
        row(20, test_accuracy=0.25),
        row(30, test_accuracy=0.3),
    ]
    curve = series(rows, "test/accuracy")
    assert curve.steps == [10, 20, 30]
    assert curve.values == [0.1, 0.25, 0.3]


def test_a_step_in_two_stages_is_two_points() -> None:
    rows = [row(10, "level-0", test_accuracy=0.1), row(10, "level-1", test_accuracy=0.2)]
    assert series(rows, "test/accuracy").values == [0.1, 0.2]
    assert series(rows, "test/accuracy", "level-1").values == [0.2]
    assert metrics.stages(rows) == ["level-0", "level-1"]


@pytest.mark.parametrize(
    ("at", "value"),
    [
        ("last", 0.7),
        ("first", 0.3),
        ("max", 0.9),
        ("min", 0.3),
        ("epoch:3", 0.9),
        ("step:20", 0.5),
        ("mean_last:2", 0.8),
        ("argmax:val/loss", 0.3),
        ("argmin:val/loss", 0.5),  # 0.4 twice: the earlier one
        ("best", 0.5),
    ],
)
def test_selectors(at: str, value: float) -> None:
    assert pick(CURVE, "test/accuracy", at, selected_on="val/loss") == pytest.approx(value)


def test_best_follows_the_direction_of_its_metric() -> None:
    rows = [row(10, test_accuracy=0.1, val_accuracy=0.5), row(20, test_accuracy=0.2, val_accuracy=0.9)]
    assert pick(rows, "test/accuracy", "best", selected_on="val/accuracy") == 0.2
    assert metrics.lower_is_better("val/balanced_error") and not metrics.lower_is_better("val/accuracy")


def test_best_is_never_taken_from_test_data() -> None:
    with pytest.raises(NotMeasured, match="no validation split"):
        pick(CURVE, "test/accuracy", "best")


def test_an_extreme_is_looked_for_where_both_metrics_are_known() -> None:
    rows = [
        row(10, test_accuracy=0.1, val_loss=0.5),
        row(15, val_loss=0.1),
        row(20, test_accuracy=0.2, val_loss=0.6),
    ]
    assert pick(rows, "test/accuracy", "argmin:val/loss") == 0.1
    # Rows of one step belong together, as when a probe writes its own.
    apart = [
        row(10, test_accuracy=0.1),
        row(10, val_loss=0.5),
        row(20, test_accuracy=0.2),
        row(20, val_loss=0.1),
    ]
    assert pick(apart, "test/accuracy", "argmin:val/loss") == 0.2


@pytest.mark.parametrize(
    ("name", "at", "stage", "says"),
    [
        ("test/acuracy", "last", None, 'Did you mean "test/accuracy"'),
        ("test/accuracy", "epoch:7", None, "not measured at epoch 7"),
        ("test/accuracy", "mean_last:9", None, "4 times, not 9"),
        ("test/accuracy", "last", "level-1", 'no stage "level-1"'),
        ("test/accuracy", "argmin:running/loss", None, "never measured at the same step"),
    ],
)
def test_what_is_not_there_is_said(name: str, at: str, stage: str | None, says: str) -> None:
    with pytest.raises(NotMeasured, match=says):
        pick(CURVE, name, at, stage)


def test_a_list_is_not_one_number() -> None:
    with pytest.raises(NotMeasured, match="not one number"):
        pick([row(1, test_class_accuracy=[0.1, 0.2])], "test/class_accuracy")


@pytest.mark.parametrize(
    "at", ["", "lasst", "epoch", "epoch:x", "epoch:-1", "mean_last:0", "argmax:", "last:2"]
)
def test_bad_selectors_are_user_errors(at: str) -> None:
    with pytest.raises(UserError, match="Known: last"):
        pick(CURVE, "test/accuracy", at)


def test_several_stages_need_one_where_positions_repeat() -> None:
    rows = [row(10, "a", test_accuracy=0.1), row(10, "b", test_accuracy=0.2)]
    assert pick(rows, "test/accuracy", "step:10", "b") == 0.2
    for ask in (lambda: pick(rows, "test/accuracy", "step:10"), lambda: reach(rows, "test/accuracy", "> 0")):
        with pytest.raises(NotMeasured, match="needs a stage, one of a, b"):
            ask()


def test_reaching() -> None:
    assert reach(CURVE, "test/accuracy", ">= 0.9") == 30
    assert reach(CURVE, "val/loss", "< 1") == 20
    assert reach([row(0, test_accuracy=0.0), *CURVE], "test/accuracy", "== 0") == 0


def test_never_reached_counts_as_the_budget() -> None:
    assert reach(CURVE, "test/accuracy", "> 0.9") == 40
    # Stopped early by another condition: what it was given counts, not what it took.
    assert reach(CURVE, "test/accuracy", "> 0.9", budget=300) == 300
    # The budget of a stage does not depend on the metric having been measured at its end.
    assert reach([*CURVE, row(45, running_loss=0.1)], "test/accuracy", "> 0.9") == 45


@pytest.mark.parametrize("text", ["", "0.9", "=> 0.9", ">= x", ">= 0.9 or 1", ">=", "~ 2"])
def test_bad_comparisons_are_user_errors(text: str) -> None:
    with pytest.raises(UserError, match="not a comparison"):
        reach(CURVE, "test/accuracy", text)


def test_nan_satisfies_nothing() -> None:
    assert not metrics.parse_comparison("!= 1")(math.nan)
    assert metrics.parse_comparison(" >=-1.5e-1 ")(-0.15)


def test_a_reader_trusts_the_result_and_reads_rows_once(tmp_path: Path) -> None:
    path = write(tmp_path / "metrics.jsonl", *(orjson.dumps(r) + b"\n" for r in CURVE))
    run = SimpleNamespace(
        id="a",
        path=SimpleNamespace(metrics=path),
        metrics={"test/accuracy": 0.71},
        best={"test/accuracy": 0.52, "selected_on": "val/loss"},
        env={"steps": 500},
    )
    reader = Reader()
    assert reader.value(run, "test/accuracy") == 0.71
    assert reader.value(run, "test/accuracy", "best") == 0.52
    assert reader.value(run, "test/accuracy", "max") == 0.9
    path.unlink()
    assert reader.value(run, "test/accuracy", "best", "train") == 0.5
    assert reader.reach(run, "test/accuracy", "> 1") == 500
