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

from imbtui import store
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

    def kill_at(self, number: int, how: str = "before") -> str:
        """Return `killed`, `passed` (no write there that could be torn) or `done` (nothing was left)."""
        assert self._server.stdin is not None and self._server.stdout is not None
        self._server.stdin.write(f"{number} {how}\n")
        self._server.stdin.flush()
        answer = self._server.stdout.readline().strip()
        assert answer in ("killed", "passed", "done"), answer
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
    store.ensure_folder(folder)
    yield folder
    shutil.rmtree(inside)


Everywhere = Callable[..., int]


@pytest.fixture
def kill_everywhere() -> Iterator[Everywhere]:
    """`kill_everywhere(prepare, check, OPERATION, runs, ...)`: kill it at every write point, twice at writes.

    `prepare` is called before each trial, `check` after it; returned is how many trials ended in a kill.
    """
    servers: list[Executioner] = []

    def kill(
        prepare: Callable[[], object],
        check: Callable[[], object],
        operation: str,
        runs: RunsPaths,
        *arguments: str,
    ) -> int:
        server = Executioner(operation, runs, *arguments)
        servers.append(server)
        killed = 0
        for number in range(1, MOST):
            for how in ("before", "torn"):
                prepare()
                answer = server.kill_at(number, how)
                killed += answer == "killed"
                if answer != "passed":
                    check()
            if answer == "done":
                return killed
        raise AssertionError("it never came to its end")

    yield kill
    for server in servers:
        server.close()
