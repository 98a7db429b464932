"""The user's own command: once for every run that ended, whatever it does with the worker's patience."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from imbtui import documents, files, store, worker
from imbtui.worker.notify import Notifier

Box = Any  # tests/worker/conftest.py
Configure = Callable[..., None]

# Keeps its input beside others of the same run: two calls leave two files.
KEEP = """
import json, os, sys
run = json.load(sys.stdin)
with open(f"{sys.argv[1]}/{run['id']}-{os.getpid()}", "w") as file:
    json.dump(run, file)
"""


@pytest.fixture
def configure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configure:
    """Write a configuration with this notification command."""
    file = tmp_path / "config.toml"
    monkeypatch.setenv("IMBTUI_CONFIG", str(file))

    def write(*command: str) -> None:
        file.write_text(f"[notify]\ncommand = {json.dumps(command)}\n")

    return write


def test_every_end_is_told_once_but_not_what_the_user_stopped(
    box: Box, configure: Configure, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    told.mkdir()
    configure(sys.executable, "-S", "-c", KEEP, str(told))
    ended = [box.submit(), box.submit(end="raise"), box.submit(end="segv", submit={"retries": 1})]
    stopped = box.submit(steps=100_000)
    worker.ensure(box.runs)
    # What waits to be told when a worker is killed stays untold: kill it when all has been told.
    box.wait(lambda: len(list(told.iterdir())) == len(ended) and box.state(stopped) == "running")
    box.kill_worker()
    worker.ensure(box.runs)
    worker.request_stop(box.runs, stopped.id)
    box.wait(lambda: not worker.held(box.runs))
    assert box.states(*ended, stopped) == ["finished", "failed", "crashed", "stopped"]
    documents_told = [json.loads(file.read_text()) for file in told.iterdir()]
    expected = [json.loads(documents.dumps(documents.whole(store.read(run)))) for run in ended]
    assert sorted(documents_told, key=lambda run: run["id"]) == expected
    assert [run["state"] for run in expected] == ["finished", "failed", "crashed"]
    assert box.runs.worker_log.read_text() == ""


def test_a_command_that_fails_is_noted_and_the_runs_go_on(box: Box, configure: Configure) -> None:
    configure(sys.executable, "-S", "-c", "import sys; print('no network'); sys.exit(3)")
    run = box.submit()
    worker.ensure(box.runs)
    box.wait(lambda: not worker.held(box.runs))
    assert box.state(run) == "finished"
    log = box.runs.worker_log.read_text()
    assert "no network" in log and f"notify.command ended with code 3 for {run.id}" in log


def test_a_command_that_never_ends_is_killed_with_its_children(
    box: Box, configure: Configure, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    configure(
        sys.executable, "-S", "-c",
        "import os, sys, time; os.fork()\n"
        "with open(sys.argv[1], 'a') as file: file.write(f'{os.getpid()}\\n')\n"
        "time.sleep(600)",
        str(pids),
    )  # fmt: skip
    run = box.submit()
    files.write_json(run.result, {"attempt": 1, "state": "finished", "metrics": {"x": "y" * (1 << 20)}})
    notifier = Notifier(box.runs, timeout=3600)
    notifier.ended(run.id, "finished")
    notifier.step()  # its megabyte of input is not waited for to be read
    box.wait(lambda: pids.exists() and len(pids.read_text().splitlines()) == 2)
    assert notifier.busy
    (call,) = notifier._calls
    call.deadline = 0.0
    box.wait(lambda: notifier.step() or not notifier.busy)
    box.wait(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids.read_text().split()))
    assert "took longer than 3600 s" in capfd.readouterr().err


def test_only_a_few_commands_run_at_once(box: Box, configure: Configure, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    configure(sys.executable, "-S", "-c", "import sys; open(sys.argv[1]).read()", str(gate))
    notifier = Notifier(box.runs)
    for _ in range(6):
        run = box.submit()
        files.write_json(run.result, {"attempt": 1, "state": "finished"})
        notifier.ended(run.id, "finished")
    notifier.step()
    assert (len(notifier._calls), len(notifier._waiting)) == (4, 2)

    def all_told() -> bool:
        with contextlib.suppress(OSError):  # nobody waits there at this moment
            os.close(os.open(gate, os.O_WRONLY | os.O_NONBLOCK))  # lets pass whoever does
        notifier.step()
        return not notifier.busy

    box.wait(all_told)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[notify]\ncommand = ['/no/such/program']", "could not be started: No such file or directory"),
        ("[notify]\ncommand = 'a b'", "nobody is told of ended runs"),
    ],
)
def test_what_cannot_work_is_noted_once(
    box: Box,
    configure: Configure,
    capfd: pytest.CaptureFixture[str],
    text: str,
    says: str,
) -> None:
    configure()
    Path(os.environ["IMBTUI_CONFIG"]).write_text(text)
    notifier = Notifier(box.runs)
    for _ in range(2):
        run = box.submit()
        files.write_json(run.result, {"attempt": 1, "state": "finished"})
        notifier.ended(run.id, "finished")
        notifier.step()
    assert not notifier.busy
    assert capfd.readouterr().err.count(says) == 1
