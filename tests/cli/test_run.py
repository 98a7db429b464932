"""imbtui run: what is planned, reused and joined; training with and without a worker."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from imbtui import index, queue, store, worker
from imbtui.paths import RunPaths, RunsPaths

Call = Callable[..., Any]
MakeRuns = Callable[..., list[RunPaths]]
COMMAND = [sys.executable, "-m", "imbtui"]
PATIENCE = 120.0  # seconds; the machine may be busy


@pytest.fixture
def clean_end(runs: RunsPaths) -> Iterator[None]:
    """Leave no worker and no trainer behind, whatever the test came to."""
    yield
    for run_id in store.list_ids(runs):
        if store.read(runs.run(run_id)).state in store.ACTIVE:
            worker.request_stop(runs, run_id)
    wait_for(lambda: all(store.read(runs.run(i)).state not in store.ACTIVE for i in store.list_ids(runs)))
    worker.stop_worker(runs)


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def views(runs: RunsPaths) -> list[store.RunView]:
    return [store.read(runs.run(run_id)) for run_id in store.list_ids(runs)]


def test_dry_run_shows_arms_by_seeds_and_creates_nothing(call: Call, recipe: Path, runs: RunsPaths) -> None:
    before = set(runs.root.rglob("*"))
    document = call("run", str(recipe), "--dry-run", "--json", "--seeds", "0-2").document
    assert [(row["arm"], row["seed"]) for row in document["runs"]] == [
        (arm, seed) for arm in ("CE", "LDAM") for seed in (0, 1, 2)
    ]
    assert len({row["digest"] for row in document["runs"]}) == 6
    table = call("run", str(recipe), "--dry-run")
    assert "4 runs: 4 to train, 0 finished before, 0 under way." in table.out
    assert document["runs"][0]["digest"] in table.out
    assert set(runs.root.rglob("*")) == before


def test_dry_run_shows_grid_points_and_warnings(call: Call, recipe: Path) -> None:
    recipe.write_text(recipe.read_text() + '[grid]\n"optimizer.lr" = [0.1, 0.2]\n')
    answer = call("run", str(recipe), "--dry-run", "--set", "schedule.milestones=[9]")
    assert "optimizer.lr=0.2" in answer.out
    assert "8 runs" in answer.out
    assert "warning" in answer.err
    assert "schedule.milestones" in answer.err


def test_equal_runs_are_reused_or_joined(
    call: Call, recipe: Path, runs: RunsPaths, make_runs: MakeRuns, finish: Callable[..., None]
) -> None:
    first, second, *rest = make_runs(toml=recipe.read_text(), name="two")
    finish(first)
    for run in rest:
        finish(run, state="stopped")
    index.sync(runs)
    found = call("run", str(recipe), "--dry-run", "--json").document["runs"]
    assert [(row["status"], row["id"]) for row in found] == [
        ("reused", first.id), ("joined", second.id), ("new", None), ("new", None),
    ]  # fmt: skip
    again = call("run", str(recipe), "--dry-run", "--json", "--rerun").document["runs"]
    assert {row["status"] for row in again} == {"new"}


def test_a_run_that_was_finished_before_is_reused_and_said_so(
    call: Call, done: list[RunPaths], recipe: Path, runs: RunsPaths
) -> None:
    answer = call("run", str(recipe))
    assert answer.code == 0
    assert "4 runs finished before and are reused" in answer.err
    assert "LDAM above CE" in answer.out
    assert len(store.list_ids(runs)) == 4
    assert not worker.held(runs)


def test_here_trains_in_this_process_and_a_failed_run_exits_with_1(
    call: Call, recipe: Path, runs: RunsPaths
) -> None:
    """In a process of its own all the same: torch would stay imported in this one."""
    impossible = recipe.with_name("impossible.toml")
    impossible.write_text(recipe.read_text().replace("n_max = 120", "n_max = 100000"))
    answer = subprocess.run(
        [*COMMAND, "run", str(recipe), str(impossible), "--here", "--cpu", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 1, answer.stderr
    assert "failed: " in answer.stderr
    assert "Traceback" not in answer.stderr
    document = json.loads(answer.stdout)
    finished, failed = document["runs"][:4], document["runs"][4:]
    assert [row["state"] for row in finished] == ["finished"] * 4
    assert [row["state"] for row in failed] == ["failed"] * 4
    assert all(row["metrics"]["test/balanced_accuracy"] > 0 for row in finished)
    assert [(v["says"], v["verdict"], v["n"]) for v in document["verdict"][1:]] == [
        ("LDAM above CE", "not run", 0)
    ]
    assert document["verdict"][0]["n"] == 2
    assert not (runs.root / ".launches").exists()
    assert not worker.held(runs)
    for view in views(runs):
        assert view.here
        assert json.loads(view.path.state.read_text())["how"] == view.state


@pytest.mark.usefixtures("clean_end")
def test_run_queues_follows_and_concludes(call: Call, recipe: Path, runs: RunsPaths) -> None:
    queue.set_slots(runs, 1)  # one launch carries all four: launching takes seconds
    answer = call("run", str(recipe), "--cpu")
    assert answer.code == 0, answer.err
    found = views(runs)
    assert [view.state for view in found] == ["finished"] * 4
    assert not any(view.here for view in found)
    for word in ("after the last epoch, mean ± sd over seeds", "CE", "LDAM above CE", *(v.id for v in found)):
        assert word in answer.out
    assert "\x1b" not in answer.out
    assert all(len(line) <= 80 for line in answer.out.splitlines() if " ± " in line)
    again = call("run", str(recipe), "--cpu", "--json")
    assert again.code == 0
    assert {row["id"] for row in again.document["runs"]} == {view.id for view in found}


@pytest.mark.slow
@pytest.mark.usefixtures("clean_end")
def test_a_reader_that_leaves_ends_neither_the_runs_nor_the_wait(
    call: Call, recipe: Path, runs: RunsPaths
) -> None:
    script = (
        f"set -o pipefail; {sys.executable} -m imbtui run {recipe} --cpu --seeds 0 | head -c 1 > /dev/null"
    )
    answer = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert [view.state for view in views(runs)] == ["finished", "finished"]


@pytest.mark.slow
@pytest.mark.usefixtures("clean_end")
def test_in_a_terminal_a_table_is_redrawn(call: Call, recipe: Path, runs: RunsPaths) -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR")}
    follower = subprocess.Popen(
        [*COMMAND, "run", str(recipe), "--cpu", "--seeds", "0"],
        stdin=theirs, stdout=theirs, stderr=theirs, env=environment | {"TERM": "xterm-256color"},
    )  # fmt: skip
    os.close(theirs)
    seen = b""
    with contextlib.suppress(OSError):  # the other end is closed when the command ends
        while chunk := os.read(ours, 1 << 16):
            seen += chunk
    assert follower.wait(PATIENCE) == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode())
    for word in ("2 queued", "running", "2 finished", "LDAM above CE", *store.list_ids(runs)):
        assert word in text
    assert b"\x1b[?25h" in seen, "the cursor is shown again"
    assert max(len(line) for line in text.replace("\r", "\n").split("\n")) <= 80


LONG = ("--set", "train.epochs=100000", "--seeds", "0", "--cpu")


@pytest.mark.usefixtures("clean_end")
def test_interrupts_and_hang_ups(call: Call, recipe: Path, runs: RunsPaths) -> None:
    """One story and one launch, since launching takes seconds: detach, join, hang up, stop, resume, leave."""
    queue.set_slots(runs, 1)
    answer = call("run", str(recipe), "--detach", *LONG)
    assert answer.code == 0
    ids = [line.split()[0] for line in answer.out.splitlines()]
    assert sorted(ids) == sorted(store.list_ids(runs))
    first, second = (runs.run(i) for i in ids)
    wait_for(lambda: store.read(first).state == "running")

    def follow() -> subprocess.Popen[str]:
        started = subprocess.Popen(
            [*COMMAND, "run", str(recipe), *LONG],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip
        assert started.stdout is not None
        while first.id not in (line := started.stdout.readline()) or "running" not in line:
            assert line, "it ended"
        return started

    # The terminal is closed: the follower dies, the run does not notice.
    follower = follow()
    os.killpg(follower.pid, signal.SIGHUP)
    assert follower.wait(PATIENCE) == -signal.SIGHUP
    assert store.read(first).state == "running"

    # A new shell follows the log of what goes on.
    log = subprocess.Popen(
        [*COMMAND, "logs", "-f", "@last"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert len(store.list_ids(runs)) == 2, "equal runs under way are joined"

    # Ctrl-C in the terminal of somebody who only joined leaves the runs to their owner.
    follower = follow()
    follower.send_signal(signal.SIGINT)
    assert follower.wait(PATIENCE) == 130
    assert store.read(first).state == "running"

    assert call("rm", "-y", first.id).code == 2, "a running run is not removed"
    assert call("stop", first.id, second.id).code == 0
    wait_for(lambda: store.read(first).state == "stopped" and store.read(second).state == "stopped")
    assert store.read(first).steps, "it was under way"
    out, err = log.communicate(timeout=PATIENCE)
    assert log.returncode == 0, out + err
    assert f"{second.id} stopped" in err
    answer = call("run", str(recipe), "--dry-run", "--json", *LONG)
    assert {row["status"] for row in answer.document["runs"]} == {"new"}

    assert call("resume", first.id).code == 0
    wait_for(lambda: store.read(first).state == "running")
    assert store.read(first).attempt == 2


@pytest.mark.usefixtures("clean_end")
def test_interrupting_ones_own_runs_stops_them_with_a_checkpoint(
    call: Call, recipe: Path, runs: RunsPaths
) -> None:
    queue.set_slots(runs, 1)
    follower = subprocess.Popen(
        [*COMMAND, "run", str(recipe), *LONG], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: any(v.last_row for v in views(runs)) or follower.poll() is not None)
    follower.send_signal(signal.SIGINT)
    out, err = follower.communicate(timeout=PATIENCE)
    assert follower.returncode == 130, out + err
    assert [view.state for view in views(runs)] == ["stopped", "stopped"]
    assert any(any(view.path.checkpoints.iterdir()) for view in views(runs) if view.path.checkpoints.is_dir())
    assert "imbtui resume" in err


def test_code_from_outside_runs_only_with_permission_and_is_named(
    call: Call, recipe: Path, runs: RunsPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "strange_plugin.py").write_text(
        "class Strange:\n    def __init__(self, class_counts, *, at: int = 3) -> None: ...\nbuild = Strange\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    arguments = ("run", str(recipe), "--dry-run", "--set", "loss.name=strange_plugin:Strange")
    assert call(*arguments).code == 2
    answer = call(*arguments, "--allow-plugins")
    assert answer.code == 0
    assert "outside imbtui: strange_plugin:Strange" in answer.err
    assert "strange_plugin" not in sys.modules
