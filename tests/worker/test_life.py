"""The worker's usual day: it starts on demand, trains what is queued, obeys stops, and goes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from signal import SIGKILL, SIGTERM
from typing import Any

import pytest

from imbtui import files, folders, index, processes, queue, worker
from imbtui.errors import UserError

Box = Any  # tests/worker/conftest.py


def test_queued_runs_finish_and_the_worker_goes(box: Box) -> None:
    runs = [box.submit() for _ in range(3)]
    worker.ensure(box.runs)
    assert worker.status(box.runs)["running"]
    assert box.wait(lambda: worker.status(box.runs)["since"])
    box.wait(lambda: box.states(*runs) == ["finished"] * 3)
    assert [box.starts(run) for run in runs] == [["start 1 0"]] * 3
    box.wait(lambda: not worker.held(box.runs))
    assert worker.status(box.runs) == {"running": False, "pid": None, "since": None, "runs": []}
    rows = files.read_json(box.runs.index)["runs"].values()
    assert {row["id"]: row["state"] for row in rows} == {run.id: "finished" for run in runs}
    box.wait(lambda: box.processes() == [])
    state = files.read_json(runs[0].state)
    assert (state["state"], state["how"], state["gpus"]) == ("ended", "finished", [])
    assert not list((box.runs.root / ".launches").iterdir())


def test_two_callers_get_one_worker(box: Box) -> None:
    box.submit(steps=100)
    worker.ensure(box.runs)
    pid = box.wait(lambda: worker.status(box.runs)["pid"])
    worker.ensure(box.runs)
    assert worker.status(box.runs)["pid"] == pid
    workers = [who for who in box.processes() if _is_worker(who.pid)]
    # What the worker has just forked bears its command line for a moment.
    started = processes.descendants(box.worker())
    assert [who.pid for who in workers if who not in started] == [pid]


def _is_worker(pid: int) -> bool:
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        return b"standin_worker" in file.read()


def test_a_pack_trains_side_by_side_in_as_many_launches_as_there_are_slots(box: Box) -> None:
    runs = [box.submit(steps=10_000) for _ in range(4)]
    worker.ensure(box.runs)
    box.wait(lambda: box.states(*runs).count("running") == 2)
    view = {row["id"]: row for row in queue.view(box.runs)}
    assert [view[run.id]["position"] for run in runs] == [None, None, 1, 2]
    box.wait(lambda: queue.view(box.runs)[2]["why"] == f"in one launch after {runs[0].id}")
    launches = [files.read_json(run.state)["launch"] for run in runs]
    assert launches == [launches[0], launches[1]] * 2 and launches[0] != launches[1]
    box.wait(lambda: worker.status(box.runs)["runs"] == [runs[0].id, runs[1].id])


def test_priority_and_moves_decide_who_is_next(box: Box) -> None:
    busy = box.submit(steps=10_000, submit={"pack_key": "busy"})
    queue.set_slots(box.runs, 1)
    worker.ensure(box.runs)
    box.wait(lambda: box.state(busy) == "running")
    late, early, urgent = (box.submit(submit={"pack_key": key}) for key in "abc")
    folders.update_submit(urgent, priority=5)
    queue.move(box.runs, early.id, 2)
    waiting = [row["id"] for row in queue.view(box.runs) if row["position"]]
    assert waiting == [urgent.id, early.id, late.id]
    box.wait(
        lambda: {row["why"] for row in queue.view(box.runs)} == {"", "waits for a free CPU slot (1 in use)"}
    )
    with pytest.raises(UserError, match="it is running"):
        queue.move(box.runs, busy.id, 1)
    with pytest.raises(UserError, match="count from 1"):
        queue.move(box.runs, late.id, 0)
    worker.request_stop(box.runs, busy.id)
    box.wait(lambda: box.states(late, early, urgent) == ["finished"] * 3)
    ended = {run.id: files.read_json(run.state)["at"] for run in (urgent, early, late)}
    assert list(ended.values()) == sorted(ended.values())
    order = [run.stat().st_mtime_ns for run in ((r.root / "starts.txt") for r in (urgent, early, late))]
    assert order == sorted(order)


def test_many_moves_between_the_same_two_still_sort(box: Box) -> None:
    queue.pause(box.runs)
    runs = [box.submit(submit={"order": 1000 + n}) for n in range(4)]
    for turn in range(6):
        queue.move(box.runs, runs[2 + turn % 2].id, 2)
        ids = [row["id"] for row in queue.view(box.runs)]
        assert ids[1] == runs[2 + turn % 2].id and ids[0] == runs[0].id


def test_a_paused_queue_starts_nothing_until_resumed(box: Box) -> None:
    running = box.submit(steps=10_000)
    worker.ensure(box.runs)
    box.wait(lambda: box.state(running) == "running")
    queue.pause(box.runs)
    waiting = box.submit()
    worker.ensure(box.runs)
    box.wait(lambda: queue.view(box.runs)[-1]["why"] == "the queue is paused")
    worker.request_stop(box.runs, running.id)
    box.wait(lambda: not worker.held(box.runs))  # nothing runs, nothing may start: it went
    assert box.state(waiting) == "queued" and queue.view(box.runs)[0]["why"] == "the queue is paused"
    queue.resume(box.runs)
    box.wait(lambda: box.state(waiting) == "finished")


def test_stopping_a_running_run_writes_a_checkpoint_and_resuming_goes_on_from_it(box: Box) -> None:
    run = box.submit(steps=100, pause=0.02)
    worker.ensure(box.runs)
    box.wait(lambda: box.state(run) == "running")
    worker.request_stop(box.runs, run.id)
    box.wait(lambda: box.state(run) == "stopped")
    step = files.read_json(run.checkpoints / "step.json")
    assert 0 < step < 100
    with pytest.raises(UserError, match="it cannot be stopped: it is stopped"):
        worker.request_stop(box.runs, run.id)
    worker.resume(box.runs, run.id)
    assert box.state(run) in ("queued", "running")
    with pytest.raises(UserError, match="already"):
        worker.resume(box.runs, run.id)
    box.wait(lambda: box.state(run) == "finished")
    assert f"attempt 2 begins at step {step}" in run.log.read_text()
    assert box.starts(run) == ["start 1 0", "start 2 0"]
    with pytest.raises(UserError, match="it has finished"):
        worker.resume(box.runs, run.id)


def test_a_queued_run_is_stopped_without_ever_starting(box: Box) -> None:
    run = box.submit()
    worker.request_stop(box.runs, run.id)
    box.wait(lambda: box.state(run) == "stopped")
    assert box.starts(run) == []


def test_a_stop_file_written_by_hand_is_obeyed(box: Box) -> None:
    run = box.submit(steps=10_000)
    worker.ensure(box.runs)
    box.wait(lambda: box.state(run) == "running")
    run.stop.touch()
    box.wait(lambda: box.state(run) == "stopped")


def test_a_run_in_the_middle_of_a_pack_is_stopped_alone(box: Box) -> None:
    queue.set_slots(box.runs, 1)
    first, middle, last = (box.submit(steps=60) for _ in range(3))
    worker.ensure(box.runs)
    box.wait(lambda: box.state(first) == "running")
    worker.request_stop(box.runs, middle.id)
    box.wait(lambda: box.state(middle) == "stopped")
    assert box.state(first) == "running"
    box.wait(lambda: box.states(first, last) == ["finished"] * 2)
    assert [box.starts(run) for run in (first, middle, last)] == [["start 1 0"], [], ["start 1 0"]]


def test_a_stubborn_trainer_is_killed_after_the_grace_period_with_its_helpers(box: Box) -> None:
    run = box.submit(steps=100_000, on_term="ignore", helper=True, submit={"grace": 0.4})
    worker.ensure(box.runs)
    box.wait(lambda: box.state(run) == "running")
    begun = time.monotonic()
    worker.request_stop(box.runs, run.id)
    box.wait(lambda: box.state(run) == "stopped")
    box.wait(lambda: not [who for who in box.processes() if not _is_worker(who.pid)])
    assert time.monotonic() - begun < 0.4 + 2
    assert box.reason(run) == "it did not stop within 0.4 s and was killed"


def test_killing_a_stubborn_run_of_a_pack_leaves_the_others_alone(box: Box) -> None:
    queue.set_slots(box.runs, 1)
    stubborn = box.submit(steps=100_000, on_term="ignore", helper=True, submit={"grace": 0.2})
    after = box.submit()
    worker.ensure(box.runs)
    box.wait(lambda: box.state(stubborn) == "running")
    launch = files.read_json(after.state)["launch"]
    worker.request_stop(box.runs, stubborn.id)
    box.wait(lambda: box.states(stubborn, after) == ["stopped", "finished"])
    assert files.read_json(after.state)["launch"] == launch and box.starts(after) == ["start 1 0"]


def test_a_trainer_that_hangs_after_its_result_does_not_hold_its_slot(box: Box) -> None:
    queue.set_slots(box.runs, 1)
    hangs, after = box.submit(end="hang", helper=True), box.submit()
    worker.ensure(box.runs)
    box.wait(lambda: box.states(hangs, after) == ["finished", "finished"])
    box.wait(lambda: not worker.held(box.runs))
    box.wait(lambda: box.processes() == [])


def test_stopping_the_worker_leaves_trainers_alone_and_the_next_one_adopts_them(box: Box) -> None:
    run = box.submit(steps=60)
    worker.ensure(box.runs)
    box.wait(lambda: box.state(run) == "running")
    rank = box.rank(run)
    assert worker.stop_worker(box.runs) and not worker.stop_worker(box.runs)
    assert rank.alive() and box.state(run) == "running"
    worker.ensure(box.runs)
    box.wait(lambda: box.state(run) == "finished")
    assert box.starts(run) == ["start 1 0"]


def test_the_worker_survives_a_hang_up_of_the_shell_that_started_it(box: Box) -> None:
    run = box.submit(steps=100)
    code = (
        "import sys, time; from pathlib import Path; from imbtui.worker import lock; "
        "from imbtui.paths import RunsPaths; lock.MODULE = 'standin_worker'; "
        "lock.ensure(RunsPaths(Path(sys.argv[1]))); print('started', flush=True); time.sleep(60)"
    )
    import pty
    import signal

    terminal, tty = pty.openpty()
    shell = subprocess.Popen(
        [sys.executable, "-c", code, str(box.runs.root)],
        stdin=tty,
        stdout=tty,
        stderr=tty,
        preexec_fn=lambda: (os.setsid(), __import__("fcntl").ioctl(0, 0x540E, 0)),
    )
    os.close(tty)
    assert b"started" in os.read(terminal, 1000)
    box.wait(lambda: box.state(run) == "running")
    os.close(terminal)  # the terminal goes: its session gets SIGHUP
    assert shell.wait(10) == -signal.SIGHUP
    box.wait(lambda: box.state(run) == "finished")
    assert box.starts(run) == ["start 1 0"]


def test_runs_of_other_machines_and_of_run_here_are_left_alone(box: Box) -> None:
    away = box.submit(submit={"host": "another-machine"})
    here = box.submit(submit={"here": True})
    mine = box.submit()
    worker.ensure(box.runs)
    box.wait(lambda: box.state(mine) == "finished")
    box.wait(lambda: not worker.held(box.runs))
    assert box.states(away, here) == ["queued", "queued"]
    assert [row["id"] for row in queue.view(box.runs)] == [here.id]


def test_stopping_a_run_here_signals_its_process(box: Box) -> None:
    run = box.submit(submit={"here": True})
    child = subprocess.Popen(["sleep", "60"])
    from imbtui.processes import Identity

    who = Identity.of(child.pid)
    assert who is not None
    files.write_json(run.rank(0), {"format": 1, "attempt": 1, "rank": 0, **who.to_json()})
    files.write_json(run.state, {"format": 1, "state": "running", "attempt": 1, **who.to_json()})
    worker.request_stop(box.runs, run.id)
    assert child.wait(10) == -SIGTERM
    assert not worker.held(box.runs)


def test_a_box_with_four_gpus_one_of_them_somebody_elses(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STANDIN_GPUS", "0,0,20,0")
    queue.set_slots(box.runs, gpu_slots=2)
    runs = [box.submit(steps=100_000, submit={"gpus": None, "pack": 1}) for _ in range(7)]
    cpu = box.submit()
    refused = box.submit(submit={"gpus": [2]})
    worker.ensure(box.runs)
    box.wait(lambda: box.states(*runs, cpu) == ["running"] * 6 + ["queued", "finished"])
    # A run counts as running before its trainer has said which devices it was given.
    box.wait(lambda: all((run.root / "devices.txt").is_file() for run in runs[:6]))
    devices = [(run.root / "devices.txt").read_text() for run in runs[:6]]
    assert sorted(devices) == ["0", "0", "1", "1", "3", "3"]
    assert (cpu.root / "devices.txt").read_text() == ""
    view = {row["id"]: row for row in queue.view(box.runs)}
    assert [view[run.id]["gpus"] for run in runs[:6]] == [[int(index)] for index in devices]
    assert view[runs[6].id]["why"] == "waits for a free GPU (4 in use)"
    assert view[refused.id]["why"] == "waits for GPU 2: somebody else holds 20.0 GiB"


def test_slots_must_be_at_least_one(box: Box) -> None:
    with pytest.raises(UserError, match="at least one"):
        queue.set_slots(box.runs, 0)


def test_the_worker_imports_nothing_heavy_and_stays_small(box: Box) -> None:
    run = box.submit(steps=10_000)
    worker.ensure(box.runs)
    box.wait(lambda: box.state(run) == "running")
    who = box.worker()
    with open(f"/proc/{who.pid}/status") as file:
        resident = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
    assert resident < 64 * 1024  # KiB
    with open(f"/proc/{who.pid}/maps") as file:
        assert "torch" not in file.read()
    who.signal(SIGKILL)
    assert index.query(box.runs)[0]["state"] == "running"


def test_what_killed_writers_left_long_ago_is_swept(box: Box) -> None:
    old, fresh = (box.runs.root / f".tmp-{name}-index.json" for name in ("old", "fresh"))
    for path in (old, fresh):
        path.write_text("{")
    os.utime(old, (time.time() - 7200,) * 2)
    run = box.submit()
    worker.ensure(box.runs)
    box.wait(lambda: box.state(run) == "finished")
    assert fresh.exists() and not old.exists()
