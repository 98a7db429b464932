"""A program in a terminal of its own: what it writes there, what it costs, what a key costs."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

KEYS = {
    "down": "\x1b[B",
    "up": "\x1b[A",
    "right": "\x1b[C",
    "left": "\x1b[D",
    "pagedown": "\x1b[6~",
    "pageup": "\x1b[5~",
    "end": "\x1b[F",
    "home": "\x1b[H",
    "enter": "\r",
    "escape": "\x1b",
    "space": " ",
    "backspace": "\x7f",
}


class Terminal:
    """Starts a command on a pseudo-terminal and counts what arrives there.

    Args:
        command: program and arguments.
        size: columns and lines.
        environment: added to this process's own.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        size: tuple[int, int] = (120, 40),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        colours = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
        self._process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env={**os.environ, **colours, **(environment or {})},
        )
        os.close(theirs)
        self.written = 0
        self._seen = b""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # it has gone
            while data := os.read(self._ours, 1 << 16):
                self.written += len(data)
                self._seen = (self._seen + data)[-(1 << 16) :]

    def wait_for(self, text: str, *, patience: float = 60.0) -> None:
        """Wait until something was written.

        Raises:
            TimeoutError: it was not, or the program has ended.
        """
        deadline = time.monotonic() + patience
        while text.encode() not in self._seen:
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise TimeoutError(f"{text!r} did not appear")
            time.sleep(0.005)

    def press(self, key: str) -> None:
        """Press a key: a character, or a name of `KEYS`."""
        os.write(self._ours, KEYS.get(key, key).encode())

    def processor_time(self) -> float:
        """Return the seconds of processor time that all threads of the program have taken."""
        # The clock of another process, as clock_getcpuclockid(3) makes it; exact, unlike /proc/<pid>/stat.
        return time.clock_gettime(~self._process.pid << 3 | 2)

    def memory(self) -> float:
        """Return the program's resident memory in MB."""
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def cost(self, key: str, *, until: float) -> float:
        """Press a key and return the milliseconds of processor time in the `until` seconds after it."""
        before = self.processor_time()
        self.press(key)
        time.sleep(until)
        return 1000 * (self.processor_time() - before)

    def rest(self, *, quiet: float = 0.02) -> None:
        """Wait until the program takes less than a share of a core for a second."""
        while True:
            before = self.processor_time()
            time.sleep(1)
            if self.processor_time() - before < quiet:
                return

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._ours)
