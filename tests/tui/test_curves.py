"""Rows of metrics.jsonl as curves."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from imbtui import files
from imbtui.paths import RunsPaths
from imbtui.tui.curves import Curves, Reader, family
from imbtui.tui.live import Poller, Wants
from imbtui.tui.messages import LogGrew, ProgressMade, RowsArrived, RowsDropped, RunsChanged
from imbtui.tui.series import of_family


def line(**row: Any) -> bytes:
    return json.dumps({k.replace("__", "/"): v for k, v in row.items()}).encode()


def test_stages_follow_one_another() -> None:
    reader = Reader()
    curves = reader.read(
        [line(stage="a", step=10, epoch=1, test__loss=3), line(stage="a", step=20, epoch=2, test__loss=2)]
    )
    curves.extend(reader.read([line(stage="b", step=10, epoch=1, test__loss=1)]))
    drawn = curves.lines["test/loss"]
    assert list(drawn.steps) == [10, 20, 30] and list(drawn.epochs) == [1, 2, 3]
    assert list(drawn.values) == [3, 2, 1]


def test_bad_lines_are_counted_and_skipped() -> None:
    curves = Reader().read([b"{torn", b"", b"[1]", line(stage="a", step=1, epoch=1, test__loss=1)])
    assert curves.bad == 2 and list(curves.lines["test/loss"].values) == [1]


def test_values_that_are_no_numbers_end_a_curve_and_are_remembered() -> None:
    rows = [
        line(stage="a", step=1, epoch=1, train__loss=1.0),
        b'{"stage":"a","step":2,"epoch":2,"train/loss":NaN}',
    ]
    curves = Reader().read([*rows, line(stage="a", step=3, epoch=3, train__loss=None)])
    assert list(curves.lines["train/loss"].values) == [1.0]
    assert math.isnan(curves.last["train/loss"])


def test_lists_keep_their_newest() -> None:
    curves = Reader().read([line(stage="a", step=s, epoch=s, test__class_accuracy=[s, s]) for s in (1, 2)])
    assert curves.lists["test/class_accuracy"] == [2, 2] and "test/class_accuracy" not in curves.lines


def test_splits_of_a_metric_are_one_family_and_the_main_ones_come_first() -> None:
    rows = [
        line(
            stage="a",
            step=1,
            epoch=1,
            norms__weight=1,
            train__loss=1,
            val__loss=1,
            test__loss=1,
            test__balanced_accuracy=1,
        )
    ]
    families = Reader().read(rows).families()
    assert list(families) == ["balanced_accuracy", "loss", "norms/weight"]
    assert families["loss"] == ["test/loss", "train/loss", "val/loss"]
    assert family("norms/weight") == "norms/weight"


def test_a_split_has_one_pattern_in_every_chart() -> None:
    rows = [line(stage="a", step=1, epoch=1, train__loss=1, train__accuracy=1, test__accuracy=1)]
    curves = Reader().read(rows)
    families = curves.families()
    patterns = {s.label: s.pattern for f in families.values() for s in of_family(curves, f)}
    assert patterns == {"test": 0, "train": 1}
    alone = of_family(curves, families["loss"])
    assert [s.pattern for s in alone] == [1]


NOTHING = Wants()


def look(poller: Poller, told: list[Any], wants: Wants = NOTHING) -> list[Any]:
    told.clear()
    while poller.look(wants):
        pass
    return list(told)


def test_the_poller_tells_only_what_changed(gallery: RunsPaths) -> None:
    told: list[Any] = []
    poller = Poller(gallery, told.append)
    first = look(poller, told)
    assert [len(m.rows) for m in first if isinstance(m, RunsChanged)] == [14]
    assert not any(isinstance(m, RunsChanged | ProgressMade) for m in look(poller, told))
    run = gallery.run("rldama-ldam-drw-s0")
    writer = files.LineWriter(run.metrics)
    writer.append(line(stage="train", step=700, epoch=77, time=4))
    writer.close()
    (made,) = [m for m in look(poller, told) if isinstance(m, ProgressMade)]
    assert list(made.rows) == [run.id] and made.rows[run.id]["live"]["step"] == 700


def test_the_poller_sees_state_changes_and_new_runs(gallery: RunsPaths, make_run: Any) -> None:
    told: list[Any] = []
    poller = Poller(gallery, told.append)
    look(poller, told)
    files.write_json(
        gallery.run("rldama-ldam-drw-s0").result,
        {"attempt": 1, "state": "finished", "metrics": {"test/accuracy": 0.5}, "best": {}},
    )
    (changed,) = [m for m in look(poller, told) if isinstance(m, RunsChanged)]
    assert {r["id"]: r["state"] for r in changed.rows}["rldama-ldam-drw-s0"] == "finished"
    from imbtui import index

    make_run("newone-ce-s9", "queued", arm="CE", seed=9)
    index.sync(gallery, ["newone-ce-s9"])
    (changed,) = [m for m in look(poller, told) if isinstance(m, RunsChanged)]
    assert len(changed.rows) == 15


def test_metrics_arrive_once_and_in_order(gallery: RunsPaths) -> None:
    told: list[Any] = []
    poller = Poller(gallery, told.append)
    run_id = "rldama-ldam-drw-s0"
    wants = Wants(curves=frozenset({run_id}))
    curves = Curves()
    path = gallery.run(run_id).metrics
    for message in look(poller, told, wants):
        if isinstance(message, RowsArrived):
            assert message.restarted
            curves.extend(message.curves)
    with path.open("ab") as file:
        file.write(line(stage="train", step=460, epoch=51, test__loss=0.125)[:-5])  # a torn row
        file.flush()
        assert not [m for m in look(poller, told, wants) if isinstance(m, RowsArrived) and m.curves.lines]
        file.write(line(stage="train", step=460, epoch=51, test__loss=0.125)[-5:] + b"\n")
    (arrived,) = [m for m in look(poller, told, wants) if isinstance(m, RowsArrived)]
    assert not arrived.restarted
    curves.extend(arrived.curves)
    assert len(curves.lines["test/loss"].values) == 26 and curves.lines["test/loss"].values[-1] == 0.125


def test_a_file_that_was_cut_back_is_read_anew(gallery: RunsPaths) -> None:
    told: list[Any] = []
    poller = Poller(gallery, told.append)
    run_id = "rldama-ldam-drw-s0"
    wants = Wants(curves=frozenset({run_id}))
    look(poller, told, wants)
    path = gallery.run(run_id).metrics
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:5]))
    (arrived,) = [m for m in look(poller, told, wants) if isinstance(m, RowsArrived)]
    assert arrived.restarted and len(arrived.curves.lines["test/loss"].values) == 5


def test_runs_not_looked_at_for_long_are_dropped(runs: RunsPaths, make_run: Any) -> None:
    for number in range(30):
        make_run(f"run{number:03d}-a-s{number}", "finished", seed=number, epochs=4)
    told: list[Any] = []
    poller = Poller(runs, told.append)
    dropped = []
    for number in range(30):
        seen = look(poller, told, Wants(curves=frozenset({f"run{number:03d}-a-s{number}"})))
        dropped += [m.run_id for m in seen if isinstance(m, RowsDropped)]
    assert dropped == [f"run{number:03d}-a-s{number}" for number in range(6)]


def test_a_long_log_begins_where_its_end_is(gallery: RunsPaths) -> None:
    log: Path = gallery.run("rldama-ldam-drw-s0").log
    log.write_text("".join(f"{n:0200d}\n" for n in range(10_000)))
    told: list[Any] = []
    poller = Poller(gallery, told.append)
    grown = [m for m in look(poller, told, Wants(log="rldama-ldam-drw-s0")) if isinstance(m, LogGrew)]
    assert int(grown[-1].lines[-1]) == 9_999 and len(grown[-1].lines) <= 2000


def test_every_line_of_a_very_long_metrics_file_is_read(gallery: RunsPaths, monkeypatch: Any) -> None:
    from imbtui.tui import live

    monkeypatch.setattr(live, "CHUNK", 4096)
    told: list[Any] = []
    poller = Poller(gallery, told.append)
    arrived = [
        m for m in look(poller, told, Wants(curves=frozenset({"fceaaa-ce-s0"}))) if isinstance(m, RowsArrived)
    ]
    assert len(arrived) > 3 and arrived[-1].complete and not arrived[0].complete
    assert (
        sum(len(m.curves.lines["test/loss"].values) for m in arrived if "test/loss" in m.curves.lines) == 40
    )


def test_the_time_left_is_that_of_the_stage_under_way(runs: RunsPaths, make_run: Any) -> None:
    run = make_run("pruned-a-s0", "running", epochs=0)
    rows = [{"stage": "level-0", "step": 720, "epoch": 80, "time": 100.0}]
    rows += [{"stage": "level-1", "step": step, "epoch": 1, "time": 100.0 + step / 10} for step in (180, 360)]
    writer = files.LineWriter(run.metrics)
    for row in rows:
        writer.append(line(**row))
    writer.close()
    told: list[Any] = []
    (listed,) = next(m for m in look(Poller(runs, told.append), told) if isinstance(m, RunsChanged)).rows
    assert listed["live"]["share"] == 0.5
    assert listed["live"]["left"] == 36.0  # ten steps a second, 360 to go
