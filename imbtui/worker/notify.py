"""The user's own command, run once for every run that ended: mail, a message to a phone, a bell.

It is a program with arguments and never a line for a shell, reads the run's JSON on stdin (what
`imbtui show --json` prints), and has a minute. Whatever becomes of it, the worker goes on.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass

from imbtui import config, documents, folders, store
from imbtui.errors import UserError
from imbtui.files import printable
from imbtui.paths import RunsPaths

TIMEOUT = 60.0  # seconds
AT_ONCE = 4  # a study of hundreds that fails at once must not start hundreds of programs


@dataclass
class _Call:
    run_id: str
    child: subprocess.Popen[bytes]
    deadline: float
    killed: bool = False


class Notifier:
    """Runs `notify.command` of the user's configuration. A run that the user stopped is not told of.

    What is waiting to be told when the worker is killed stays untold: never twice is worth more.

    Args:
        runs: the runs folder.
        timeout: seconds after which a command is killed.
    """

    def __init__(self, runs: RunsPaths, timeout: float = TIMEOUT) -> None:
        self._runs = runs
        self._timeout = timeout
        self._waiting: deque[str] = deque()
        self._calls: list[_Call] = []
        self._said = ""

    def ended(self, run_id: str, how: str) -> None:
        """Remember to tell that an attempt at a run ended."""
        if how != "stopped":
            self._waiting.append(run_id)

    @property
    def busy(self) -> bool:
        """Whether a command runs or waits to be run."""
        return bool(self._waiting or self._calls)

    def step(self) -> None:
        """See to the commands under way and start those that wait; nothing is raised."""
        self._calls = [call for call in self._calls if not self._is_over(call)]
        while self._waiting and len(self._calls) < AT_ONCE:
            self._tell(self._waiting.popleft())

    def _tell(self, run_id: str) -> None:
        try:
            command = config.load().notify
        except UserError as error:
            self._note_once(f"nobody is told of ended runs: {error}")
            return
        if not command:
            return
        view = store.read(self._runs.run(run_id))
        if view.state in store.ACTIVE:
            return  # it was queued again meanwhile
        try:
            child = _start(command, documents.dumps(documents.whole(view)))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            self._note_once(f"notify.command could not be started: {reason}")
        else:
            self._calls.append(_Call(run_id, child, time.monotonic() + self._timeout))

    def _is_over(self, call: _Call) -> bool:
        code = call.child.poll()
        if code is None and not call.killed and time.monotonic() > call.deadline:
            # It leads a session of its own, and until it is waited for nobody else has its number.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(call.child.pid, signal.SIGKILL)
            call.killed = True
            _note(f"notify.command took longer than {self._timeout:g} s for {call.run_id} and was killed")
        if code and not call.killed:
            _note(f"notify.command ended with code {code} for {call.run_id}")
        return code is not None

    def _note_once(self, sentence: str) -> None:
        """Say what will be as wrong for the next run."""
        if sentence != self._said:
            _note(sentence)
        self._said = sentence


def _start(command: tuple[str, ...], document: str) -> subprocess.Popen[bytes]:
    """Start the command detached, what it prints going to the worker's log.

    Its input is a file in memory: a pipe would make the worker wait for a command that does not read.
    """
    with open(os.memfd_create("run"), "w+b") as stdin:
        stdin.write(document.encode())
        stdin.seek(0)
        return subprocess.Popen(command, stdin=stdin, start_new_session=True)


def _note(sentence: str) -> None:
    with contextlib.suppress(OSError):  # a full disk
        print(f"{folders.now()} {printable(sentence)}", file=sys.stderr, flush=True)
