"""What a run's end is put down to, and what happens to runs whose launch never got that far."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from imbtui import files, index, processes, queue, worker
from imbtui.worker import reasons

Box = Any  # tests/worker/conftest.py


@pytest.mark.parametrize(
    ("end", "says", "state", "reason"),
    [
        ("raise", "", "failed", "ValueError: as told"),
        ("segv", "", "crashed", "killed by SIGSEGV"),
        ("vanish", "last words", "crashed", "its process is gone; its log ends: last words"),
        ("vanish", "OSError: [Errno 28] No space left on device", "crashed", "the disk is full"),
    ],
)
def test_the_reason_of_an_end_is_told(box: Box, end: str, says: str, state: str, reason: str) -> None:
    run = box.submit(end=end, says=says)
    worker.ensure(box.runs)
    box.wait(lambda: files.read_json(run.state) and files.read_json(run.state)["state"] == "ended")
    assert (box.state(run), box.reason(run)) == (state, reason)


def test_a_crashed_run_in_a_pack_does_not_keep_the_third_from_its_turn(box: Box) -> None:
    queue.set_slots(box.runs, 1)
    runs = [box.submit(), box.submit(end="segv"), box.submit()]
    worker.ensure(box.runs)
    box.wait(lambda: box.states(*runs) == ["finished", "crashed", "finished"])
    assert [box.starts(run) for run in runs] == [["start 1 0"]] * 3


@pytest.mark.parametrize("count", [1, 2])
def test_a_trainer_that_cannot_be_imported_is_tried_three_times_and_then_told(
    box: Box, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setenv("STANDIN_IMPORT_ERROR", "1")
    queue.set_slots(box.runs, 1)
    runs = [box.submit() for _ in range(count)]
    worker.ensure(box.runs)
    box.wait(lambda: box.states(*runs) == ["crashed"] * count)
    for run in runs:
        assert box.reason(run) == "import error: No module named 'no_such_module_at_all'"
        assert "ModuleNotFoundError" in run.log.read_text()
        assert box.starts(run) == []
    if count == 1:  # its log is the launch's
        assert runs[0].log.read_text().count("ModuleNotFoundError") == 3
    box.wait(lambda: not worker.held(box.runs))


def test_a_crash_is_launched_again_as_often_as_the_recipe_allows(box: Box) -> None:
    run = box.submit(end="segv", submit={"retries": 2})
    failed = box.submit(end="raise", submit={"retries": 2})
    worker.ensure(box.runs)
    box.wait(lambda: len(box.starts(run)) == 3)
    box.wait(lambda: box.states(run, failed) == ["crashed", "failed"])
    assert box.starts(run) == ["start 1 0", "start 2 0", "start 3 0"]
    assert box.starts(failed) == ["start 1 0"]  # its own fault: the same would happen again
    submit = files.read_json(run.submit)
    assert (submit["attempt"], submit["retried"], submit["retry_reason"]) == (3, 2, "killed by SIGSEGV")
    box.wait(lambda: files.read_json(run.state)["state"] == "ended")
    worker.resume(box.runs, run.id)
    box.wait(lambda: len(box.starts(run)) == 6)  # the user's wish begins a new count


def test_a_removed_run_folder_does_not_stop_the_others(box: Box) -> None:
    queue.set_slots(box.runs, 1)
    first, removed, last = box.submit(steps=60), box.submit(), box.submit()
    worker.ensure(box.runs)
    box.wait(lambda: box.state(first) == "running")
    removed.root.rename(box.runs.root / ".gone")
    box.wait(lambda: box.states(first) == ["finished"])
    box.wait(lambda: box.states(last) == ["finished"])
    box.wait(lambda: not worker.held(box.runs))
    assert not removed.root.exists()


def test_a_damaged_run_folder_does_not_stop_the_others(box: Box) -> None:
    damaged, odd, good = box.submit(), box.submit(submit={"processes": "many"}), box.submit()
    damaged.submit.write_text("{")
    worker.ensure(box.runs)
    box.wait(lambda: box.states(good) == ["finished"])
    box.wait(lambda: not worker.held(box.runs))
    assert box.states(damaged, odd) == ["crashed", "crashed"]
    assert box.reason(odd) == "damaged: submit.json holds no usable processes"


@pytest.mark.parametrize("first", [2, 5, 8, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 23))])
def test_a_worker_lives_through_a_full_disk(box: Box, monkeypatch: pytest.MonkeyPatch, first: int) -> None:
    monkeypatch.setenv("STANDIN_FAIL_AT", str(first))
    queue.set_slots(box.runs, 1)
    runs = [box.submit(), box.submit(end="segv"), box.submit()]
    worker.ensure(box.runs)
    box.wait(lambda: box.states(*runs) == ["finished", "crashed", "finished"])
    box.wait(lambda: not worker.held(box.runs))
    assert "No space left on device" in box.runs.worker_log.read_text()
    assert [box.starts(run) for run in runs] == [["start 1 0"]] * 3
    assert [files.read_json(run.state)["state"] for run in runs] == ["ended"] * 3
    rows = files.read_json(box.runs.index)["runs"].values()
    assert sorted(row["state"] for row in rows) == ["crashed", "finished", "finished"]


def test_a_worker_lives_on_a_disk_that_is_really_full_and_tells_later_what_happened(
    box: Box, small_disk: Any
) -> None:
    """Not even its log can be written to."""
    disk = small_disk(box.runs.root, "1m")
    queue.set_slots(box.runs, 1)
    first, second = box.submit(steps=100, pause=0.02), box.submit()
    worker.ensure(box.runs)
    box.wait(lambda: box.state(first) == "running")
    who = box.worker()
    disk.fill()
    box.wait(lambda: box.state(first) == "crashed")  # there was no room for its result
    box.wait(lambda: [left.pid for left in box.processes()] == [who.pid])
    assert sorted(row["state"] for row in index.query(box.runs)) == ["crashed", "queued"]
    disk.free()
    box.wait(lambda: box.states(first, second) == ["crashed", "finished"])
    box.wait(lambda: not worker.held(box.runs))
    assert files.read_json(first.state)["state"] == "ended"
    assert box.reason(first) == "the disk is full"
    assert files.read_json(box.runs.worker)["pid"] == who.pid
    rows = files.read_json(box.runs.index)["runs"].values()
    assert sorted(row["state"] for row in rows) == ["crashed", "finished"]


def test_after_a_reboot_waiting_runs_are_not_started_by_surprise(box: Box) -> None:
    queue.set_slots(box.runs, 1)
    under_way, waiting = box.submit(steps=100_000), box.submit()
    worker.ensure(box.runs)
    box.wait(lambda: waiting.id in (files.read_json(box.runs.worker) or {}).get("waiting", {}))
    box.wait(lambda: box.state(under_way) == "running")
    _reboot(box, under_way, waiting)
    worker.ensure(box.runs)
    box.wait(lambda: box.states(under_way, waiting) == ["crashed", "queued"])
    why = "the queue is paused: the machine was restarted while runs were waiting"
    box.wait(lambda: [row["why"] for row in queue.view(box.runs)] == [why])
    queue.resume(box.runs)
    box.wait(lambda: box.state(waiting) == "finished")
    assert not queue.settings(box.runs).paused


def test_after_a_reboot_with_nothing_left_waiting_the_queue_goes_on(box: Box) -> None:
    run = box.submit(steps=100_000)
    worker.ensure(box.runs)
    box.wait(lambda: box.state(run) == "running")
    _reboot(box, run)
    fresh = box.submit()
    worker.ensure(box.runs)
    box.wait(lambda: box.states(run, fresh) == ["crashed", "finished"])


def _reboot(box: Box, *runs: Any) -> None:
    """Kill everything and make the files look as if they were written in the boot before."""
    assert processes.kill_until_none(box.processes) == []
    for path in [box.runs.worker, *(r.state for r in runs), *(r.rank(0) for r in runs)]:
        document = files.read_json(path)
        if document:
            files.write_json(path, {**document, "boot_id": "the boot before"})


ELASTIC = """\
W1124 02:00:00.000000 12 torch/distributed/elastic/api.py:900] Sending process 14 closing signal SIGTERM
E1124 02:00:00.000000 12 torch/distributed/elastic/api.py:880] failed (exitcode: -9) local_rank: 0
Traceback (most recent call last):
  File "x.py", line 1, in <module>
torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
"""


@pytest.mark.parametrize(
    ("log", "launch_log", "oom", "reason"),
    [
        ("", "", False, "its process is gone"),
        ("", "", True, "out of memory (killed by the kernel)"),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried 2 GiB\n", "", True, "out of GPU memory"),
        ("RuntimeError: DefaultCPUAllocator: can't allocate memory\n", "", False, "out of memory"),
        ("ImportError: libcudnn.so.9: no\nmore\n", "", False, "import error: libcudnn.so.9: no"),
        ("", ELASTIC, False, "killed by SIGKILL"),
        ("", ELASTIC, True, "out of memory (killed by the kernel)"),
        ("", "died with <Signals.SIGKILL: 9>.\n", False, "killed by SIGKILL"),
        ("Bus error\n", "", False, "killed by SIGBUS (often: shared memory is full)"),
        ("Traceback (most recent call last):\n  x\n\x1b[31mred\x1b[0m\n", "", False,
         "its process is gone; its log ends: \\x1b[31mred\\x1b[0m"),
        ("epoch 1\n\n  indented\n", "", False, "its process is gone; its log ends: epoch 1"),
    ],
)  # fmt: skip
def test_reasons_from_logs(tmp_path: Path, log: str, launch_log: str, oom: bool, reason: str) -> None:
    run_log, other = tmp_path / "log.txt", tmp_path / "launch.log"
    run_log.write_text("MemoryError of the attempt before\n" + log)
    other.write_text(launch_log)
    since = len("MemoryError of the attempt before\n")
    assert reasons.explain(run_log, other, since=since, memory_ran_out=oom) == reason


def test_without_any_log_the_process_is_gone(tmp_path: Path) -> None:
    assert (
        reasons.explain(tmp_path / "a", tmp_path / "b")
        == reasons.explain_launch(tmp_path / "b")
        == reasons.GONE
    )
