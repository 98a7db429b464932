"""Runs of a machine that shares the runs folder and is gone: they can be stopped, removed and taken over."""

from __future__ import annotations

from typing import Any

import pytest

from imbtui import files, store, worker
from imbtui.errors import UserError
from imbtui.processes import Identity
from imbtui.worker import states

Box = Any  # tests/worker/conftest.py
AWAY = {"host": "another-machine"}


def test_a_run_queued_there_is_stopped_at_once(box: Box) -> None:
    run = box.submit(submit=AWAY)
    worker.request_stop(box.runs, run.id)
    assert box.state(run) == "stopped"
    assert not worker.held(box.runs)
    worker.resume(box.runs, run.id)
    box.wait(lambda: box.state(run) == "finished")
    assert store.read(run).host != AWAY["host"]


def test_a_run_under_way_there_is_given_up_on_the_users_word_and_resumed_here(box: Box) -> None:
    run, mine = box.submit(submit=AWAY), box.submit(submit={"here": True})
    there = Identity(AWAY["host"], "its boot", 1234, 5678)
    states.write_running(run, attempt=1, launch="abc", launcher=there)
    files.write_json(run.rank(0), {"attempt": 1, "rank": 0, **there.to_json()})
    assert (box.state(run), box.reason(run)) == (
        "running",
        "on another-machine, as far as can be told from here",
    )
    worker.request_stop(box.runs, run.id)
    assert box.state(run) == "running"  # a worker there would see to it
    with pytest.raises(UserError, match="belongs to this machine"):
        worker.give_up(box.runs, mine.id)
    worker.give_up(box.runs, run.id)
    assert (box.state(run), box.reason(run)) == ("crashed", "its machine another-machine is gone")
    with pytest.raises(UserError, match="it is crashed"):
        worker.give_up(box.runs, run.id)
    worker.resume(box.runs, run.id)
    box.wait(lambda: box.state(run) == "finished")
    assert box.starts(run) == ["start 2 0"]
