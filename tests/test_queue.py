"""The queue's settings and view, without any worker."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from imbtui import queue, worker
from imbtui.errors import UserError
from imbtui.paths import RunsPaths
from imbtui.queue import Settings


def test_settings_start_with_defaults_and_keep_what_is_set(runs: RunsPaths) -> None:
    assert queue.settings(runs) == Settings()
    queue.set_slots(runs, 3)
    queue.pause(runs, "a reason")
    queue.set_slots(runs, gpu_slots=2)
    assert queue.settings(runs) == Settings(paused=True, why="a reason", slots=3, gpu_slots=2)
    assert queue.paused_phrase(queue.settings(runs)) == "the queue is paused: a reason"
    queue.pause(runs)
    assert queue.paused_phrase(queue.settings(runs)) == "the queue is paused"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"slots": "many", "gpu_slots": 0, "paused": 1}'])
def test_a_damaged_file_means_the_defaults(runs: RunsPaths, text: str) -> None:
    runs.queue.write_text(text)
    assert queue.settings(runs) == Settings()


def test_changes_at_once_lose_none(runs: RunsPaths) -> None:
    with ProcessPoolExecutor(4) as pool:
        done = [pool.submit(queue.set_slots, runs, 2), pool.submit(queue.pause, runs, "why")]
        done += [pool.submit(queue.set_slots, runs, gpu_slots=3)]
        for each in done:
            each.result()
    assert queue.settings(runs) == Settings(paused=True, why="why", slots=2, gpu_slots=3)


def test_there_is_a_slot_a_core_as_far_as_memory_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)))
    sizes = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": (16 << 30) // 4096}
    monkeypatch.setattr(os, "sysconf", sizes.__getitem__)
    assert queue.default_slots() == 10
    sizes["SC_PHYS_PAGES"] = (512 << 30) // 4096
    assert queue.default_slots() == 64
    sizes["SC_PHYS_PAGES"] = (1 << 30) // 4096
    assert queue.default_slots() == 1


def test_an_empty_or_absent_folder_has_an_empty_queue_and_no_worker(runs: RunsPaths, tmp_path: Path) -> None:
    for folder in (runs, RunsPaths(tmp_path / "absent")):
        assert queue.view(folder) == []
        assert worker.status(folder) == {"running": False, "pid": None, "since": None, "runs": []}
        assert not worker.stop_worker(folder)
    assert not (tmp_path / "absent").exists()


def test_a_folder_that_cannot_be_made_is_the_users_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be made"):
        worker.ensure(RunsPaths(tmp_path / "file" / "runs"))
