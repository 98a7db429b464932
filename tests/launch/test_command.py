"""The command line and environment of a launch, and ports to meet at."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from imbtui.launch import Order
from imbtui.launch.command import command, environment, free_port
from imbtui.launch.local import Local


def order(folder: Path, count: int = 1, **wish: object) -> Order:
    folders = tuple(folder / f"run {number}; rm -rf $HOME" for number in range(count))
    return Order(launch="abc", folders=folders, log=folder / "log", **wish)  # type: ignore[arg-type]


def test_one_process_is_launched_without_a_port(tmp_path: Path) -> None:
    line = command(order(tmp_path))
    assert line[:3] == [sys.executable, "-m", "accelerate.commands.launch"]
    assert line[-3:] == ["-m", "imbtui.engine", f"{tmp_path}/run 0; rm -rf $HOME"]  # one argument: no shell
    assert line[line.index("--num_processes") + 1] == "1" and "--multi_gpu" not in line
    assert "--cpu" not in line


def test_several_processes_need_a_port_of_ours(tmp_path: Path) -> None:
    line = command(order(tmp_path, 2, processes=2), port=23_456)
    assert "--multi_gpu" in line and line[line.index("--main_process_port") + 1] == "23456"
    with pytest.raises(AssertionError):
        command(order(tmp_path, processes=2))


def test_the_users_own_accelerate_configuration_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "accelerate").mkdir()
    (tmp_path / "accelerate" / "default_config.yaml").write_text(
        "compute_environment: LOCAL_MACHINE\ndistributed_type: MULTI_GPU\nmixed_precision: bf16\n"
        "num_processes: 4\nuse_cpu: false\ndebug: false\n"
    )
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    (tmp_path / "shown.py").write_text(
        "import json, os, sys\nprint(json.dumps([sys.argv[1:], dict(os.environ)]))"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    wanted = order(tmp_path, module="shown", threads=3)
    done = subprocess.run(command(wanted), env=environment(wanted), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (said,) = done.stdout.splitlines()
    arguments, env = json.loads(said)
    assert arguments == [str(folder) for folder in wanted.folders]
    assert (env["ACCELERATE_MIXED_PRECISION"], env["OMP_NUM_THREADS"]) == ("no", "3")


def test_devices_threads_and_marks_are_set(tmp_path: Path) -> None:
    env = environment(order(tmp_path, gpus=(2, 5), threads=4, data="/data"), {"PATH": "/bin"})
    assert env["CUDA_VISIBLE_DEVICES"] == "2,5" and env["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert {env[name] for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")} == {"4"}
    assert env["IMBTUI_LAUNCH_ID"] == "abc" and env["IMBTUI_RUN_ID"] == "run 0; rm -rf $HOME"
    assert env["IMBTUI_DATA"] == "/data" and env["PATH"] == "/bin"
    assert "ACCELERATE_USE_CPU" not in env


def test_without_gpus_none_is_visible(tmp_path: Path) -> None:
    env = environment(order(tmp_path, 2), {"CUDA_VISIBLE_DEVICES": "0", "IMBTUI_RUN_ID": "of another"})
    assert env["CUDA_VISIBLE_DEVICES"] == "" and env["ACCELERATE_USE_CPU"] == "true"
    assert "IMBTUI_RUN_ID" not in env  # several runs: each marks its own programs


def test_a_surrounding_launch_is_not_inherited(tmp_path: Path) -> None:
    around = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_PORT": "1", "ACCELERATE_DEBUG_MODE": "1", "HOME": "/h"}
    env = environment(order(tmp_path, gpus=(0,)), around | {"TORCHELASTIC_RUN_ID": "x"})
    assert not {"RANK", "WORLD_SIZE", "MASTER_PORT", "ACCELERATE_DEBUG_MODE", "TORCHELASTIC_RUN_ID"} & set(
        env
    )
    assert env["HOME"] == "/h"


def test_ports_are_free_and_differ() -> None:
    ports = {free_port() for _ in range(20)}
    assert len(ports) > 15 and all(20_000 <= port < 32_000 for port in ports)


def test_a_taken_port_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    import random

    with socket.socket() as taken, socket.socket() as other:
        taken.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        free = other.getsockname()[1]
        other.close()
        drawn = [taken.getsockname()[1], free]
        monkeypatch.setattr(random.SystemRandom, "sample", lambda self, population, k: drawn)
        assert free_port() == free
        drawn.pop()
        with pytest.raises(OSError, match="no free port"):
            free_port()


def test_a_launch_has_its_own_session_and_no_terminal(tmp_path: Path) -> None:
    shown = "import os; print(os.getsid(0) == os.getpid(), [os.isatty(n) for n in range(3)])"
    executor = Local(lambda order: [sys.executable, "-c", shown])
    launcher = executor.start(order(tmp_path))
    while executor.running(launcher):
        os.sched_yield()
    assert (tmp_path / "log").read_text() == "True [False, False, False]\n"
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600
    assert not launcher.alive() and executor.find("abc") is None


def test_a_launch_is_found_and_ended_by_its_mark(tmp_path: Path) -> None:
    code = (
        "import subprocess, time; subprocess.Popen(['sleep', '60'], start_new_session=True); time.sleep(60)"
    )
    mark = f"test-{os.getpid()}"
    first, second = Local(lambda order: [sys.executable, "-c", code]), Local()
    wanted = Order(launch=mark, folders=(tmp_path,), log=tmp_path / "log")
    launcher = first.start(wanted)
    while (found := second.find(mark)) is None:  # an instant passes between its start and its environment
        assert second.running(launcher)
    assert found == launcher
    assert second.end(mark) == []
    assert second.find(mark) is None and not first.running(launcher)
