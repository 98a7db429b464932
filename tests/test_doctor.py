"""What the doctor finds on machines that this one is not, and in runs folders where something hangs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from imbtui import doctor, files, folders, gpus, index, paths
from imbtui.doctor import Check
from imbtui.gpus import Gpu
from imbtui.paths import RunPaths, RunsPaths
from imbtui.processes import Identity
from imbtui.worker import lock

MakeRuns = Callable[..., list[RunPaths]]
H200 = Gpu(0, "H200", "GPU-0", 141 << 30, 0)


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> dict[str, str | None]:
    """What the system's commands answer, by name; None: there is no such command."""
    answers: dict[str, str | None] = {}
    monkeypatch.setattr(doctor, "_command_output", lambda name, *rest: answers.get(name))
    return answers


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`machine(gpus, torch)`: the GPUs that the driver lists, and what torch says of itself."""

    def set_up(found: list[Gpu], cuda: str | None = None, seen: int = 0, code: int = 0) -> None:
        monkeypatch.setattr(gpus, "list_gpus", lambda: found)
        said = json.dumps({"version": "2.15.0", "cuda": cuda, "gpus": seen})
        done = subprocess.CompletedProcess([], code, said, "ImportError: libcudart.so.12 is missing\n")
        monkeypatch.setattr(doctor.subprocess, "run", lambda *arguments, **options: done)

    return set_up


def wrong(check: Check, says: str, do: str) -> None:
    assert not check.ok
    assert says in check.says and do in check.do


def test_a_driver_that_does_not_answer(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    machine([])
    monkeypatch.setattr(gpus, "trouble", lambda: "Driver/library version mismatch")
    exists = Path.exists
    for there in (False, True):
        monkeypatch.setattr(
            Path, "exists", lambda path, there=there: there if path.name == "nvidiactl" else exists(path)
        )
        check = doctor._gpus()
        assert check.ok != there
        assert "Driver/library version mismatch" in check.says
    wrong(check, "does not answer", "reboot")


def test_a_torch_that_does_not_fit_the_driver(machine: Any) -> None:
    machine([H200], cuda="12.8", seen=1)
    assert doctor._torch().ok
    machine([H200], cuda="12.8", seen=0)
    wrong(doctor._torch(), "sees 0 GPUs", "The driver is too old for CUDA 12.8")
    machine([H200], cuda=None, seen=0)
    wrong(doctor._torch(), "for the CPU only", "build with CUDA")
    machine([], code=1)
    wrong(doctor._torch(), "libcudart.so.12 is missing", "Install it anew")


def test_a_system_that_ends_processes_at_logout(commands: dict[str, str | None]) -> None:
    assert doctor._logout().ok  # no systemd
    commands["busctl"] = "b false\n"
    assert doctor._logout().ok
    commands["busctl"], commands["loginctl"] = "b true\n", "no\n"
    wrong(doctor._logout(), "KillUserProcesses=yes", "loginctl enable-linger")
    commands["loginctl"] = "yes\n"
    assert doctor._logout().ok


def test_a_file_system_that_is_read_only_or_without_locks(
    runs: RunsPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert doctor._locks(runs).ok
    monkeypatch.setattr(doctor, "file_system", lambda folder: "nfs4")
    assert "network file system (nfs4)" in doctor._locks(runs).says

    def refuse(path: Path, **options: Any) -> None:
        raise OSError(30, os.strerror(30))

    monkeypatch.setattr(files, "locked", refuse)
    wrong(doctor._locks(runs), "Read-only file system", "local disk")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    wrong(doctor._folder(runs), "cannot be written to", "--runs")


HOLD = """
import sys, time
from pathlib import Path
from imbtui import files
with files.locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(runs: RunsPaths) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the index's lock until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(runs.index_lock)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None and process.stdin is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.communicate()


def test_a_lock_that_is_held_on(
    runs: RunsPaths, holder: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "HELD_TOO_LONG", 0.05)
    check = doctor._held_locks(runs)
    wrong(check, f"process {holder.pid} has held .index.lock", f"kill {holder.pid}")
    holder.kill()
    holder.wait()
    assert doctor._held_locks(runs).ok


def test_a_worker_that_is_suspended(runs: RunsPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    process = subprocess.Popen(["sleep", "60"])
    try:
        who = Identity.of_child(process.pid)
        files.write_json(runs.worker, {**who.to_json(), "since": folders.now(), "runs": []})
        monkeypatch.setattr(lock, "held", lambda runs: True)
        assert doctor._worker(runs).ok
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        wrong(doctor._worker(runs), "suspended", f"kill -CONT {process.pid}")
    finally:
        process.kill()
        process.wait()


def test_runs_whose_machine_is_gone(
    runs: RunsPaths, make_runs: MakeRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run,) = make_runs()
    index.sync(runs)
    assert doctor._other_machines(runs).ok
    monkeypatch.setattr(paths, "host", lambda: "another")
    wrong(doctor._other_machines(runs), "1 of ", "imbtui stop --gone RUN")
    (run.root / "submit.json").write_text(json.dumps({**json.loads(run.submit.read_text()), "seed": "x"}))
    wrong(doctor._damaged(runs), run.id, "imbtui rm")
