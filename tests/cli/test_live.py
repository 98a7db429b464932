"""Following runs: what is read of them, and what is drawn."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from imbtui import files
from imbtui.cli import live
from imbtui.cli.watch import Watched
from imbtui.paths import RunPaths, RunsPaths
from imbtui.processes import Identity
from imbtui.worker import states

MakeRuns = Callable[..., list[RunPaths]]
Finish = Callable[..., None]


def begin(run: RunPaths, *, epoch: int, epochs: int = 10, title: str = "train") -> None:
    """Let this process be the run's trainer, in the middle of its work."""
    files.write_json(run.rank(0), {"attempt": 1, "rank": 0, **Identity.mine().to_json()})
    files.write_json(run.env, {"steps": 5 * epochs, "steps_per_epoch": 5})
    rows = [
        {
            "stage": title,
            "step": 5 * e,
            "epoch": e,
            "time": 2.0 * e,
            "running/loss": 0.5,
            "test/balanced_accuracy": 0.25,
        }
        for e in range(epoch + 1)
    ]
    run.metrics.write_text("".join(json.dumps(row) + "\n" for row in rows))


def seen(run: RunPaths) -> Watched:
    watched = Watched(run)
    watched.poll()
    return watched


def drawn(
    runs: list[Watched], width: int = 80, height: int = 24, why: dict[str, str] | None = None
) -> list[str]:
    return [row.plain for row in live.table(runs, why or {}, width=width, height=height)]


def test_progress_and_time_left_come_from_the_metrics(make_runs: MakeRuns) -> None:
    (run,) = make_runs()
    begin(run, epoch=4)
    watched = seen(run)
    assert watched.view.state == "running"
    assert (watched.epoch, watched.epochs, watched.share) == (4, 10, 0.4)
    assert watched.left == pytest.approx(12.0)
    assert watched.progress() == "epoch 4/10, loss 0.500, balanced accuracy 0.250, 12 s left"


def test_new_rows_are_seen_and_a_torn_one_waits(make_runs: MakeRuns) -> None:
    (run,) = make_runs()
    begin(run, epoch=4)
    watched = seen(run)
    with open(run.metrics, "a") as file:
        file.write('{"stage": "train", "step": 25, "epoch": 5, "time": 10')
        file.flush()
        watched.poll()
        assert watched.epoch == 4
        file.write(".0}\n")
    watched.poll()
    assert watched.epoch == 5


def test_a_stage_counts_from_its_own_beginning(make_runs: MakeRuns) -> None:
    (run,) = make_runs()
    begin(run, epoch=10)
    watched = seen(run)
    with open(run.metrics, "a") as file:
        for epoch in range(3):
            row = {"stage": "level-1", "step": 5 * epoch, "epoch": epoch, "time": 100.0 + epoch}
            file.write(json.dumps(row) + "\n")
    watched.poll()
    assert watched.progress().startswith("level-1: epoch 2/10")
    assert watched.left == pytest.approx(8.0)


def test_a_crash_is_final_only_when_the_worker_says_so(make_runs: MakeRuns) -> None:
    """Until then it may be started again."""
    (run,) = make_runs()
    gone = Identity.mine().to_json() | {"start_ticks": 1}
    files.write_json(run.rank(0), {"attempt": 1, "rank": 0, **gone})
    watched = seen(run)
    assert watched.view.state == "crashed"
    assert not watched.ended()
    states.write_ended(run, attempt=1, how="crashed", reason="killed by SIGKILL")
    watched.poll()
    assert watched.ended()
    assert watched.view.reason == "killed by SIGKILL"


@pytest.mark.parametrize("width", [80, 100, 200])
def test_the_table_fits_the_width_and_cuts_no_id(make_runs: MakeRuns, finish: Finish, width: int) -> None:
    runs = [make_runs(f"train.epochs={n}", name="a-recipe-with-a-long-name")[0] for n in (5, 6, 7)]
    begin(runs[0], epoch=4, epochs=1000)
    finish(runs[1])
    rows = drawn([seen(run) for run in runs], width)
    assert all(len(row) <= width for row in rows)
    assert [row.split()[0] for row in rows[1:]] == [run.id for run in runs]
    assert "running" in rows[1]
    assert "finished" in rows[2]
    assert "queued" in rows[3]
    if width >= 100:
        assert "4/1000" in rows[1]


def test_a_low_screen_shows_the_active_runs(make_runs: MakeRuns, finish: Finish) -> None:
    runs = [make_runs(f"train.epochs={n}")[0] for n in range(1, 9)]
    for run in runs[:5]:
        finish(run)
    begin(runs[5], epoch=1)
    rows = drawn([seen(run) for run in runs], height=3)
    assert len(rows) == 3
    assert runs[5].id in rows[1] + rows[2]


def test_counts_and_the_reason_for_waiting(make_runs: MakeRuns, finish: Finish) -> None:
    runs = [make_runs(f"train.epochs={n}")[0] for n in (1, 2, 3)]
    finish(runs[0])
    watched = [seen(run) for run in runs]
    assert live.count_line(watched, {runs[1].id: "GPU 0 is\x1b[2J taken"}) == (
        "1 finished, 2 queued (GPU 0 is\\x1b[2J taken)"
    )


def test_a_hostile_stage_name_is_shown_and_not_obeyed(make_runs: MakeRuns) -> None:
    (run,) = make_runs()
    begin(run, epoch=2, title="\x1b[2J[red]")
    watched = seen(run)
    assert "\x1b" not in "".join(drawn([watched], width=200)) + watched.progress()


def test_plain_lines_tell_each_change_once(
    make_runs: MakeRuns, finish: Finish, runs: RunsPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    (run,) = make_runs()
    watched = seen(run)
    lines = live.Lines()
    lines.show([watched], {run.id: "the queue is paused"}, [])
    lines.show([watched], {run.id: "the queue is paused"}, [])
    finish(run, state="failed", reason="no\x1b[2J")
    watched.poll()
    lines.show([watched], {}, [watched])
    assert capsys.readouterr().out.splitlines() == [
        "waiting: the queue is paused",
        f"{run.id} failed: no\\x1b[2J",
    ]


def test_a_log_that_never_ends_its_line_is_printed(tmp_path: Path) -> None:
    from imbtui.cli.logs import _offset_of_last

    log = tmp_path / "log.txt"
    log.write_bytes(b"a\nb\nc")
    assert [_offset_of_last(log, n) for n in (1, 2, 3, 4)] == [4, 2, 0, 0]
    log.write_bytes(b"a\nb\nc\n")
    assert [_offset_of_last(log, n) for n in (1, 2, 3, 4)] == [4, 2, 0, 0]
