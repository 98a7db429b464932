"""What SLURM says of this user's jobs, asked often enough and never waited for.

`squeue` is all that is asked: the accounting of finished jobs (`sacct`) needs a database that many clusters
do not have, while every controller remembers ended jobs for some minutes (MinJobAge).
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
from typing import IO

from imbtui.files import printable
from imbtui.jobs import Job

QUICKEST, SLOWEST = 3.0, 30.0  # seconds between questions: more apart while nothing changes
PATIENCE = 60.0  # seconds after which an answer is not waited for any more
# Fixed widths, since reasons may hold any separator. The name stands last: it may be of any length.
_FIELDS = (("JobID", 32), ("State", 24), ("RestartCnt", 8), ("Reason", 64), ("NodeList", 128), ("Name", 255))
_QUESTION = (
    "squeue", "--noheader", "--states=all", "--Format", ",".join(f"{n}:{width}" for n, width in _FIELDS),
)  # fmt: skip
# Settings of the user's that would hide jobs, turn one into several, or send what it says elsewhere.
_FILTERS = (
    "SQUEUE_", "SCANCEL_", "SLURM_CLUSTERS",
    "SBATCH_ARRAY_INX", "SBATCH_CLUSTERS", "SBATCH_ERROR", "SBATCH_WAIT",
)  # fmt: skip


def environment() -> dict[str, str]:
    """Return the environment in which SLURM's commands are run."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_FILTERS)}


def complaint(said: bytes) -> str:
    """Return the last thing that a command of SLURM's said of its failure, in one phrase."""
    lines = [line.strip() for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
    last = lines[-1] if lines else "it does not say why"
    for prefix in ("error: ", "fatal: ", "failed: ", "failure: "):
        last = last.rpartition(prefix)[2] or last
    return printable(last)[:200]


def parse(answer: bytes) -> dict[str, Job]:
    """Return the jobs of imbtui among those that squeue lists, by number."""
    jobs = {}
    for line in answer.splitlines():
        fields, at = [], 0
        for _, width in _FIELDS:
            fields.append(line[at : at + width].decode("utf-8", "replace").strip())
            at += width
        number, state, restarts, reason, nodes, name = fields
        if "@" in name and restarts.isdecimal():
            jobs[number] = Job(number, name, state, reason, nodes, int(restarts))
    return jobs


class Jobs:
    """The newest answer, and the question under way.

    Attributes:
        known: this user's jobs as they were last heard of, by number.
        asked: when the newest answer was asked for, by the monotonic clock; before all time: never.
        trouble: why the last question had no answer; empty when it had one.
    """

    def __init__(self) -> None:
        self.known: dict[str, Job] = {}
        self.asked = float("-inf")
        self.trouble = ""
        self._pause = QUICKEST
        self._due = float("-inf")
        self._began = 0.0
        self._asking: tuple[subprocess.Popen[bytes], IO[bytes], IO[bytes]] | None = None

    def hurry(self) -> None:
        """Ask again soon: something has changed or will."""
        self._pause = QUICKEST
        self._due = min(self._due, time.monotonic() + QUICKEST)

    def step(self) -> None:
        """Take an answer that has come, or ask when it is time to; returns at once."""
        if self._asking is not None:
            self._listen(*self._asking)
        elif time.monotonic() >= self._due:
            self._ask()

    def _ask(self) -> None:
        self._began = time.monotonic()
        out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115  (closed with the answer)
        try:
            # Files and no pipes: thousands of jobs are more than a pipe holds, and nobody reads it meanwhile.
            child = subprocess.Popen(
                [*_QUESTION, f"--user={os.getuid()}"],
                stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment(),
            )  # fmt: skip
        except OSError as error:
            out.close()
            err.close()
            self._failed(f"squeue cannot be run: {error.strerror or error}")
            return
        self._asking = (child, out, err)

    def _listen(self, child: subprocess.Popen[bytes], out: IO[bytes], err: IO[bytes]) -> None:
        code = child.poll()
        if code is None:
            if time.monotonic() - self._began < PATIENCE:
                return
            child.kill()
            child.wait()
        self._asking = None
        with contextlib.closing(out), contextlib.closing(err):
            for file in (out, err):
                file.seek(0)
            if code == 0:
                self._heard(parse(out.read()))
            else:
                self._failed(complaint(err.read()) if code is not None else "no answer")

    def _heard(self, jobs: dict[str, Job]) -> None:
        changed = jobs != self.known or self.trouble
        self.known, self.asked, self.trouble = jobs, self._began, ""
        self._pause = QUICKEST if changed else min(SLOWEST, 1.5 * self._pause)
        self._due = time.monotonic() + self._pause

    def _failed(self, why: str) -> None:
        self.trouble = f"SLURM does not answer: {why}"
        self._pause = min(SLOWEST, 1.5 * self._pause)
        self._due = time.monotonic() + self._pause
