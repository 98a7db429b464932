"""ls, show, compare, plot, logs: what is said of runs, and how it is laid out."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from imbtui import folders, index, store
from imbtui.paths import RunPaths, RunsPaths

Call = Callable[..., Any]
Finish = Callable[..., None]
MakeRuns = Callable[..., list[RunPaths]]
FIELDS = {"id", "state", "reason", "study", "arm", "seed", "digest", "recipe", "metrics", "best", "seconds"}


def test_ls_lists_the_newest_first_and_fits_80_columns(call: Call, done: list[RunPaths]) -> None:
    answer = call("ls")
    lines = answer.out.splitlines()
    assert answer.code == 0
    assert [line.split()[1] for line in lines[1:]] == [run.id for run in reversed(done)]
    assert all(len(line) <= 80 for line in lines)
    assert all("finished" in line for line in lines[1:])


def test_ls_json_has_the_fields_of_the_contract(call: Call, done: list[RunPaths]) -> None:
    answer = call("ls", "--json")
    assert answer.err == ""
    assert len(answer.document) == 4
    for row in answer.document:
        assert row.keys() >= FIELDS
        assert row["recipe"]["dataset"]["name"] == "digits"
        assert row["metrics"]["test/accuracy"] == 0.8


def test_ls_limits_the_table_but_not_the_json(call: Call, done: list[RunPaths]) -> None:
    assert len(call("ls", "-n", "2").out.splitlines()) == 3
    assert len(call("ls", "--json", "-n", "2").document) == 2
    assert call("ls", "-n", "0").code == 2


@pytest.mark.parametrize(
    ("where", "count"),
    [
        ("arm == CE", 2),
        ("loss.name == ldam and seed == 1", 1),
        ("test/balanced_accuracy > 0.55", 2),
        ("test/class_accuracy > 0.5", 0),
        ("state == failed", 0),
        ("ldam", 2),
    ],
)
def test_where_selects(call: Call, done: list[RunPaths], where: str, count: int) -> None:
    assert len(call("ls", "--json", "--where", where).document) == count


def test_sort_puts_the_best_first(call: Call, done: list[RunPaths]) -> None:
    found = call("ls", "--json", "--sort", "test/balanced_accuracy").document
    values = [row["metrics"]["test/balanced_accuracy"] for row in found]
    assert values == sorted(values, reverse=True)


def test_sort_by_what_no_run_will_measure(
    call: Call, make_runs: Callable[..., list[RunPaths]], runs: RunsPaths
) -> None:
    make_runs()
    index.sync(runs)
    answer = call("ls", "--sort", "test/acuracy")
    assert answer.code == 2
    assert 'Did you mean "test/accuracy"?' in answer.err
    assert call("ls", "--sort", "test/accuracy").code == 0


def test_sort_by_a_loss_puts_the_lowest_first(
    call: Call, done: list[RunPaths], runs: RunsPaths, finish: Finish
) -> None:
    finish(done[1], metrics={"test/loss": 0.1})
    finish(done[2], metrics={"test/loss": math.inf})
    index.sync(runs)
    found = call("ls", "--json", "--sort", "test/loss").document
    assert found[0]["id"] == done[1].id
    assert found[-1]["id"] == done[2].id


def test_chosen_columns_are_all_shown_however_wide(call: Call, done: list[RunPaths]) -> None:
    keys = "id,arm,seed,loss.name,test/few_accuracy,digest,study,train.epochs"
    heading = call("ls", "--columns", keys).out.splitlines()[0].split()
    assert heading == ["#", *keys.split(",")]


def test_an_empty_or_absent_runs_folder_is_no_error(call: Call, tmp_path: Path) -> None:
    assert call("ls").code == 0
    assert call("ls", "--json", "--runs", str(tmp_path / "none")).document == []
    assert not (tmp_path / "none").exists()


def test_runs_before_the_command_means_the_same(call: Call, done: list[RunPaths], tmp_path: Path) -> None:
    assert call("--runs", str(tmp_path / "none"), "ls", "--json").document == []
    assert (
        len(
            call(
                "--runs", str(tmp_path / "none"), "ls", "--json", "--runs", str(done[0].root.parent)
            ).document
        )
        == 4
    )
    assert len(call("ls", "--json").document) == 4, "the folder named last time is forgotten"


def test_a_row_number_means_the_row_last_listed(call: Call, done: list[RunPaths]) -> None:
    call("ls", "--where", "arm == CE")
    assert call("show", "2", "--json").document["id"] == done[0].id
    assert call("show", "@last", "--json").document["id"] == done[-1].id
    assert call("show", "@~1", "--json").document["id"] == done[-2].id
    assert call("show", done[0].id[:6], "--json").document["id"] == done[0].id


def test_show_says_state_metrics_and_recipe(call: Call, done: list[RunPaths]) -> None:
    document = call("show", "@last", "--json").document
    assert document.keys() >= FIELDS | {"path", "env"}
    assert Path(document["path"]) == done[-1].root
    text = call("show", "@last").out
    assert all(len(line) <= 80 for line in text.splitlines() if str(done[-1].root) not in line)
    for word in (done[-1].id, "finished", "balanced_accuracy", "0.6100", "loss.name", "ldam", "best test"):
        assert word in text


def test_show_ends_with_the_log_of_a_failed_run(call: Call, done: list[RunPaths], finish: Finish) -> None:
    finish(done[0], state="failed", reason="ValueError: no")
    done[0].log.write_text("one\nValueError: no\n")
    text = call("show", done[0].id).out
    assert "failed: ValueError: no" in text
    assert text.endswith("one\nValueError: no\n")


def test_compare_shows_only_keys_that_differ(call: Call, done: list[RunPaths]) -> None:
    answer = call("compare", done[0].id, done[2].id)
    assert "loss.name" in answer.out
    assert "train.batch_size" not in answer.out
    document = call("compare", done[0].id, done[2].id, "--json").document
    assert document["recipe"]["loss.name"] == ["cross_entropy", "ldam"]
    assert document["metrics"]["test/balanced_accuracy"] == [0.5, 0.6]


def test_compare_over_seeds_shows_means_and_tests_the_difference(call: Call, done: list[RunPaths]) -> None:
    for answer in (
        call("compare", "--study", "two"),
        call("compare", *(run.id for run in done), "--over-seeds", "-m", "test/balanced_accuracy"),
    ):
        assert answer.code == 0
        assert "0.505 ± 0.007" in answer.out and "0.605 ± 0.007" in answer.out
        assert "difference from CE" in answer.out and "+0.100" in answer.out
    document = call("compare", "--study", "two", "--json").document
    assert [group["label"] for group in document["groups"]] == ["CE", "LDAM"]
    assert document["recipe"]["loss.name"] == ["cross_entropy", "ldam"]
    assert document["differences"]["groups"][1]["mean"] == pytest.approx(0.1)
    assert call("compare", "--study", "two", done[0].id).code == 2
    wrong = call("compare", "--study", "two", "-m", "test/balanced_acuracy")
    assert wrong.code == 2 and "test/balanced_accuracy" in wrong.err


def test_compare_breaks_many_runs_into_blocks(
    call: Call, make_runs: MakeRuns, runs: RunsPaths, finish: Finish
) -> None:
    made = [make_runs(f"train.epochs={n}", f"optimizer.lr={0.123456 * n}")[0] for n in range(1, 16)]
    for run in made:
        finish(run)
    lines = call("compare", *(run.id for run in made)).out.splitlines()
    assert max(len(line) for line in lines) <= 80
    headings = [line.split() for line in lines if line.startswith("   ") and line.split()[0].isdigit()]
    assert [number for heading in headings for number in heading][:15] == [str(n) for n in range(1, 16)]


def test_plot_draws_in_the_terminal(call: Call, done: list[RunPaths]) -> None:
    answer = call("plot", done[0].id, done[1].id, "-m", "test/accuracy")
    assert answer.code == 0
    assert any("⠀" < character < "⣿" for character in answer.out)
    assert done[0].id in answer.out
    assert all(len(line) <= 80 for line in answer.out.splitlines())


def test_plot_gives_the_numbers_as_json(call: Call, done: list[RunPaths]) -> None:
    (curve,) = call("plot", done[0].id, "-m", "test/accuracy", "--json").document
    assert curve["epoch"] == [0, 1, 2, 3]
    assert curve["values"][-1] == 0.8


@pytest.mark.parametrize("ending", ["svg", "png", "pdf"])
def test_plot_writes_a_file(call: Call, done: list[RunPaths], tmp_path: Path, ending: str) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / f"curve.{ending}"
    answer = call("plot", done[0].id, "-m", "test/accuracy", "-o", str(path))
    assert answer.code == 0
    assert path.read_bytes()[:5] in (b"<?xml", b"\x89PNG\r", b"%PDF-")


def test_plot_to_a_file_without_matplotlib_says_what_to_install(
    call: Call, done: list[RunPaths], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    answer = call("plot", done[0].id, "-m", "test/accuracy", "-o", str(tmp_path / "x.svg"))
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "imbtui[plots]" in answer.err


def test_plot_of_a_study_is_one_line_an_arm_over_its_seeds(call: Call, done: list[RunPaths]) -> None:
    curves = call("plot", "two", "-m", "test/accuracy", "--json").document
    assert [curve["arm"] for curve in curves] == ["CE", "LDAM"]
    assert curves[0]["epoch"] == [0, 1, 2, 3]
    only = call("plot", "two", "--arm", "LDAM", "-m", "test/accuracy", "--json").document
    assert only == curves[1:]


def test_plot_of_a_study_at_one_point_in_time(call: Call, done: list[RunPaths], tmp_path: Path) -> None:
    at_last = ("plot", "two", "-m", "test/balanced_accuracy", "--at", "last")
    ce, ldam = call(*at_last, "--json").document
    assert (ce["arm"], ldam["arm"], ldam["n"]) == ("CE", "LDAM", 2)
    assert ldam["mean"] == pytest.approx(0.605)
    table = call(*at_last).out
    assert "0.605 ± 0.007" in table and "●" in table
    pytest.importorskip("matplotlib")
    path = tmp_path / "points.svg"
    assert call(*at_last, "-o", str(path)).code == 0
    assert all(
        word in path.read_text() for word in ("LDAM", "mean ± sd", "reported", "balanced accuracy (test)")
    )


def test_a_bare_word_is_looked_for_in_titles_without_opening_a_folder(
    call: Call, done: list[RunPaths], runs: RunsPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    call("ls")
    for run in done:
        os.utime(run.root, (0, 0))  # changed long ago: its row holds
    call("ls")
    monkeypatch.setattr(store, "read", None)
    assert len(call("ls", "--where", "arms").out.splitlines()) == 1 + len(done)
    assert "no run matches" in call("ls", "--where", "legs").err


def test_logs_prints_all_of_it_into_a_pipe(call: Call, done: list[RunPaths]) -> None:
    lines = [f"line {n}" for n in range(1000)]
    done[0].log.write_text("\n".join(lines) + "\nunfinished")
    assert call("logs", done[0].id).out.splitlines() == [*lines, "unfinished"]
    assert call("logs", done[0].id, "-n", "3").out.splitlines() == ["line 998", "line 999", "unfinished"]


def test_logs_of_the_last_lines_never_reads_the_whole_file(call: Call, done: list[RunPaths]) -> None:
    with open(done[0].log, "wb") as log:
        log.write(b"end\n")
        log.truncate(100 << 20)  # a hole: 100 MB of zeros
        log.seek(0, 2)
        log.write(b"\nthe end\n")
    assert call("logs", done[0].id, "-n", "1").out == "the end\n"


def test_logs_follow_returns_the_runs_outcome(call: Call, done: list[RunPaths], finish: Finish) -> None:
    done[0].log.write_text("hello\nlast words")
    answer = call("logs", "-f", done[0].id)
    assert (answer.code, answer.out) == (0, "hello\nlast words\n")
    finish(done[1], state="failed", reason="it burnt")
    answer = call("logs", "-f", done[1].id)
    assert answer.code == 1
    assert "it burnt" in answer.err


HOSTILE = "\x1b[31mred\x1b]0;title\x07[bold]x[/bold]\x9b2J\r\n🙂"


def test_hostile_text_is_shown_and_never_obeyed(
    call: Call, make_runs: MakeRuns, runs: RunsPaths, finish: Finish
) -> None:
    (run,) = make_runs()
    submit = json.loads(run.submit.read_text())
    hostile = {
        "title": HOSTILE,
        "study": HOSTILE,
        "arm": HOSTILE,
        "paper": HOSTILE,
        "point": {HOSTILE: HOSTILE},
    }
    run.submit.write_text(json.dumps(submit | hostile))
    folders.write_notes(run, tags=["[red]tag"], note=HOSTILE)
    finish(run, state="failed", reason=HOSTILE)
    run.log.write_bytes(HOSTILE.encode() + b"\xff\xfe\nprogress 1\rprogress 2\n")
    with open(run.metrics, "ab") as file:
        file.write(b'{"stage": "train", "st')
    index.sync(runs)
    for command in (
        ("ls",),
        ("ls", "--columns", "id,title,arm,tags,note,reason"),
        ("show", "@last"),
        ("logs", "@last"),
        ("compare", "@last", "@last"),
        ("plot", "@last", "-m", "test/accuracy"),
        ("queue",),
        ("doctor",),
    ):
        answer = call(*command)
        assert answer.code == 0, answer.err
        for stream in (answer.out, answer.err):
            assert not [c for c in stream if ord(c) < 32 and c not in "\n"], command
            assert "\x9b" not in stream and "\x07" not in stream
    assert "[bold]x[/bold]" in call("show", "@last").out, "markup is text"
    assert "progress 2" in call("logs", "@last").out
    assert call("show", "@last", "--json").document["title"] == HOSTILE


def test_a_run_folder_with_an_odd_name_is_listed(
    call: Call, make_runs: MakeRuns, runs: RunsPaths, finish: Finish
) -> None:
    (run,) = make_runs()
    finish(run)
    for odd in (b"odd\n\x1b[2Jname", b"bytes\xff\xfe"):
        Path(run.root.parent, odd.decode("utf-8", "surrogateescape")).mkdir()
    answer = call("ls")
    assert answer.code == 0, answer.err
    assert "\x1b" not in answer.out
    assert len(answer.out.splitlines()) == 4
    assert len(call("ls", "--json").document) == 3
