"""Operations that are killed at each of their write points."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from imbtui import folders
from imbtui.paths import RunsPaths

HERE = Path(__file__).parent
MOST = 1000  # write points


class Executioner:
    """Does one operation as often as asked, each time in a process that is killed at a write point."""

    def __init__(self, operation: str, runs: RunsPaths, *arguments: str) -> None:
        self._server = subprocess.Popen(
            [sys.executable, str(HERE / "executioner.py"), operation, str(runs.root), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(HERE.parents[1])},
        )

    def kill(self, how: str, when: float) -> str:
        """Have it done once more and killed; see `executioner.py`."""
        assert self._server.stdin is not None and self._server.stdout is not None
        self._server.stdin.write(f"{how} {when}\n")
        self._server.stdin.flush()
        answer = self._server.stdout.readline().strip()
        assert answer in ("killed", "passed", "done") or answer.isdecimal(), answer
        return answer

    def close(self) -> None:
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait(60)
        assert self._server.stdout is not None
        self._server.stdout.close()


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[RunsPaths]:
    """An empty runs folder, in memory where possible: hundreds of trials wait for no disk."""
    memory = Path("/dev/shm")
    inside = tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK) else tmp_path)
    folder = RunsPaths(Path(inside) / "runs")
    folders.ensure_folder(folder)
    yield folder
    shutil.rmtree(inside)


@pytest.fixture
def executioner(runs: RunsPaths) -> Iterator[Callable[..., Executioner]]:
    """`executioner(OPERATION, ARGUMENT...)`: somebody who does it and is killed, as often as asked."""
    servers: list[Executioner] = []

    def start(operation: str, *arguments: str) -> Executioner:
        servers.append(Executioner(operation, runs, *arguments))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def kill_everywhere(executioner: Callable[..., Executioner]) -> Callable[..., int]:
    """`kill_everywhere(prepare, check, OPERATION, ARGUMENT...)`: kill it at every write point.

    A write is killed before it and in its middle. `prepare` is called before each trial, `check` after it;
    returned is how many trials ended in a kill.
    """

    def kill(
        prepare: Callable[[], object], check: Callable[[], object], operation: str, *arguments: str
    ) -> int:
        server = executioner(operation, *arguments)
        killed = 0
        for number in range(1, MOST):
            for how in ("before", "torn"):
                prepare()
                answer = server.kill(how, number)
                killed += answer == "killed"
                if answer != "passed":
                    check()
            if answer == "done":
                return killed
        raise AssertionError("it never came to its end")

    return kill
