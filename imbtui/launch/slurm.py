"""Launches as jobs of SLURM: one `sbatch` each, followed through `squeue`, ended by `scancel`.

The commands are called as they are, without submitit: that package pickles a Python function into each job,
ignores the SIGTERM of a preemption by default, and reads states from `sacct`, which many clusters lack. What
a job does on its node stands in `job.py`.

A job is recognised by its number and its name, `RUN@LAUNCH`: SLURM issues the numbers of jobs that it lost in
a crash again.
"""

from __future__ import annotations

import functools
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from imbtui import files, processes
from imbtui.errors import UserError, did_you_mean
from imbtui.jobs import GONE, Job
from imbtui.launch import LAUNCH_MARK, Order, Refused, Request
from imbtui.launch.local import end as end_here
from imbtui.launch.squeue import Jobs, complaint, environment
from imbtui.paths import RunsPaths
from imbtui.processes import Identity

JOB_MODULE = "imbtui.launch.job"
ANSWER_WITHIN = 60.0  # seconds that sbatch and sinfo get
AGAIN = 10.0  # seconds between two scancels of one job
WAIT_AFTER_REFUSAL = 30.0  # seconds in which nothing is submitted after SLURM could take no more
NODES_KNOWN_FOR = 600.0  # seconds
SHOWS_WITHIN = 5.0  # seconds after which a job that was submitted is in every answer
OBJECTS_FOR = 30.0  # seconds for which an answer to "would you take it" holds
STOP_DELAY = 60.0  # seconds for which a network file system may hide a new stop file from a node

# What sbatch says when the same job may be taken later.
_FOR_NOW = re.compile(
    r"contact slurm|timed out|connection|socket|communicat|temporar|zero bytes|munge|credential"
    r"|submit\w*limit|submit limit|too many|busy|standby",
    re.IGNORECASE,
)


class Slurm:
    """Runs launches as jobs of SLURM, as this user."""

    def __init__(self) -> None:
        self._jobs = Jobs()
        self._ordered: dict[str, float] = {}  # by launch: when it was given to sbatch
        self._cancelled: dict[str, float] = {}
        self._not_before = float("-inf")
        self._refusal = ""

    # For the worker alone

    def step(self) -> None:
        """Learn where jobs stand, without waiting for anything."""
        self._jobs.step()

    def hurry(self) -> None:
        """Look again soon: something has changed."""
        self._jobs.hurry()

    def takes_none(self) -> str:
        """Return why nothing can be submitted now, as a phrase; empty when it can."""
        if self._jobs.trouble:
            return self._jobs.trouble
        if self._jobs.asked == float("-inf"):
            return "asking SLURM"
        return self._refusal if time.monotonic() < self._not_before else ""

    # As every executor

    def start(self, order: Order) -> Job | None:
        """Submit a launch as a job.

        Returns:
            The job; None: SLURM could not be asked or takes none for now, or the answer got lost, and what
            became of it will show.

        Raises:
            OSError: the run folders cannot be written to.
            Refused: SLURM takes no such job.
        """
        name = name_of(order)
        runs = RunsPaths(order.folders[0].parent)
        self._ordered[order.launch] = time.monotonic()
        os.close(os.open(order.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, files.PRIVATE_FILE))
        try:
            gpu = takes_gpus(order.request)
            files.write_json(runs.launch_order(order.launch), _document(order, gpu), durable=False)
            command = ["sbatch", "--parsable", f"--output={_pattern(order.log)}", *arguments(order, gpu=gpu)]
            done = _run([*command, f"--job-name={name}"], script(runs, order.launch))
        except _Unanswered as error:
            self._wait(f"SLURM does not answer: {error}")
            return None
        number = done.stdout.decode("utf-8", "replace").strip().partition(";")[0]
        if done.returncode == 0 and number.isdecimal():
            self._ordered[order.launch] = time.monotonic()
            self._jobs.hurry()
            return Job(number, name)
        why = complaint(done.stderr)
        if done.returncode != 0 and _FOR_NOW.search(done.stderr.decode("utf-8", "replace")):
            self._wait(f"SLURM takes it later: {why}")
            return None
        raise Refused(f"SLURM refuses it: {why}")

    def find(self, launch: str) -> Job | None:
        """Return the job of a launch if SLURM knows it."""
        suffix = f"@{launch}"
        return next((job for job in self._jobs.known.values() if job.name.endswith(suffix)), None)

    def may_show(self, since: float) -> bool:
        """Whether SLURM has not yet been asked after its last chance to take the launch."""
        return self._jobs.asked <= since + SHOWS_WITHIN

    def look(self, launcher: Job) -> Job:
        """Return a job as SLURM told of it last; as it was, while there is no newer word."""
        known = self._jobs.known.get(launcher.id)
        if known is not None and known.name == launcher.name:
            return known
        if self._jobs.asked <= self._ordered.get(launch_of(launcher.name), float("-inf")):
            return launcher
        return replace(launcher, state=GONE) if self._jobs.asked > float("-inf") else launcher

    def running(self, launcher: Job) -> bool:
        """Whether the job waits or runs."""
        return not launcher.over

    def says(self, launcher: Job | None) -> str:
        """Return where a job stands, or why SLURM has not taken it yet."""
        if self._jobs.trouble:
            return self._jobs.trouble
        return launcher.says if launcher is not None else self.takes_none() or "SLURM is asked to take it"

    def known_from(self, state: Mapping[str, Any]) -> Job | None:
        """Return the job that a state.json names."""
        return Job.from_json(state)

    def alive(self, ranks: Sequence[Identity]) -> bool | None:
        """Nothing can be told of processes on other machines."""
        return None

    def ask_to_stop(self, rank: Identity) -> bool:
        """The job's own process sees the stop file and tells the ranks."""
        return True

    @property
    def stop_delay(self) -> float:
        """How long the stop file may stay unseen."""
        return STOP_DELAY

    def kill_run(self, launch: str, run_id: str, ranks: Sequence[Identity]) -> None:
        """The job's own process kills what does not leave in time."""

    def end(self, launch: str, launcher: Job | None) -> list[Identity]:
        """Cancel a job unless it is over, and kill what may be left of it on this machine."""
        if launcher is not None and not launcher.over:
            now = time.monotonic()
            if not self._jobs.trouble and now - self._cancelled.get(launch, float("-inf")) > AGAIN:
                self._cancelled[launch] = now
                cancel(launcher)
                self._jobs.hurry()
            return []
        self._cancelled.pop(launch, None)
        self._ordered.pop(launch, None)
        # Without cgroups a process that leads a session of its own survives its job.
        return end_here(launch) if processes.marked(LAUNCH_MARK, launch) else []

    def _wait(self, why: str) -> None:
        self._refusal, self._not_before = why, time.monotonic() + WAIT_AFTER_REFUSAL
        self._jobs.hurry()


class _Unanswered(Exception):
    """A command of SLURM's could not be run."""


def _run(command: Sequence[str], script: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            command, input=script, capture_output=True, timeout=ANSWER_WITHIN, check=False, env=environment()
        )
    except OSError as error:
        raise _Unanswered(f"{command[0]} cannot be run: {error.strerror or error}") from None
    except subprocess.TimeoutExpired:
        raise _Unanswered(f"{command[0]} took longer than {ANSWER_WITHIN:g} s") from None


def name_of(order: Order) -> str:
    """Return the name of a launch's job: its first run, for people, and the launch, by which it is known."""
    return f"{re.sub('[^a-zA-Z0-9._-]', '_', order.folders[0].name)[:100]}@{order.launch}"


def launch_of(name: str) -> str:
    """Return the launch that a job of this name carries."""
    return name.rpartition("@")[2]


def arguments(order: Order, *, gpu: bool) -> list[str]:
    """Return the options of sbatch that say what a job is to get."""
    request = order.request
    line = ["--requeue", "--open-mode=append", "--nodes=1", "--ntasks=1"]
    cpus = request.cpus or order.threads * order.processes
    for name, value in (
        ("partition", request.partition),
        ("account", request.account),
        ("time", request.time),
        ("cpus-per-task", cpus or None),
        ("mem", None if request.memory is None else f"{round(request.memory * 1024)}M"),
    ):
        if value is not None:
            line.append(f"--{name}={value}")
    if gpu and not _says_which_gpus(request):
        line.append(f"--gres=gpu:{order.processes}")
    return [*line, *request.options]


def takes_gpus(request: Request) -> bool:
    """Return whether a job is to have GPUs; where the recipe leaves it open, if its partition has any."""
    if request.gpus is not None:
        return request.gpus
    partition = request.partition or os.environ.get("SBATCH_PARTITION")
    return _says_which_gpus(request) or _has_gpus(partition, int(time.monotonic() / NODES_KNOWN_FOR))


def _says_which_gpus(request: Request) -> bool:
    return any(option.startswith(("--gres", "--gpus")) for option in request.options)


def script(runs: RunsPaths, launch: str) -> bytes:
    """Return the job's script. The shell gives way to our process, so that SLURM's signals reach it."""
    words = [sys.executable, "-m", JOB_MODULE, str(runs.launch_order(launch).absolute())]
    return b"#!/bin/sh\nexec " + b" ".join(os.fsencode(shlex.quote(word)) for word in words) + b"\n"


def _pattern(log: os.PathLike[str]) -> str:
    """Return a path as sbatch's file name pattern, in which % and \\ mean something."""
    return os.fspath(log).replace("\\", "\\\\").replace("%", "%%")


def _document(order: Order, gpu: bool) -> dict[str, Any]:
    """Return what `job.py` reads on the node."""
    return {
        "launch": order.launch,
        "runs": [[f.name, attempt] for f, attempt in zip(order.folders, order.attempts, strict=True)],
        "gpu": gpu,
        "processes": order.processes,
        "threads": order.threads,
        "data": order.data,
        "module": order.module,
        "grace": order.grace,
    }


@functools.lru_cache(maxsize=64)
def _has_gpus(partition: str | None, moment: int) -> bool:
    """Whether a partition (None: the one of jobs that name none) has GPUs; asked once a moment."""
    command = ["sinfo", "--noheader", "--format=%P|%G", *([f"--partition={partition}"] if partition else [])]
    done = _run(command)
    if done.returncode:
        raise _Unanswered(complaint(done.stderr))
    lines = [line.partition("|") for line in done.stdout.decode("utf-8", "replace").splitlines()]
    chosen = [line for line in lines if partition or line[0].strip().endswith("*")] or lines
    return any(gres.strip().startswith("gpu") for line in chosen for gres in line[2].split(","))


def cancel(job: Job) -> str:
    """Cancel a job, and none that got its number later; return why it could not be done, or nothing."""
    command = ["scancel", "--quiet", f"--jobname={job.name}", job.id]
    try:
        done = _run(command)
    except _Unanswered as error:
        return str(error)
    return complaint(done.stderr) if done.returncode else ""


def require() -> None:
    """Make sure that jobs can be submitted from this machine.

    Raises:
        UserError: there is no SLURM.
    """
    for command in ("sbatch", "squeue", "scancel", "sinfo"):
        if shutil.which(command) is None:
            raise UserError(
                f'there is no SLURM here ("{command}" is not on the PATH)',
                where="launch.executor",
                hint='Submit where jobs are submitted, or use launch.executor = "local".',
            )


def check(order: Order, *, where: str) -> None:
    """Ask SLURM whether it would take such a job; nothing is submitted. No answer is no objection.

    Raises:
        UserError: there is no SLURM, or it would not.
    """
    require()
    moment = int(time.monotonic() / OBJECTS_FOR)
    why = _objection(order.request, order.processes, order.threads, moment)
    if not why:
        return
    known = _partitions(moment)
    for name in (order.request.partition or "").split(","):
        if name and known and name not in known:
            hint = did_you_mean(name, list(known))
            raise UserError(f'SLURM has no partition "{name}"', where=f"{where}.partition", hint=hint)
    raise UserError(f"SLURM would refuse such a job: {why}", where=where)


@functools.lru_cache(maxsize=64)
def _objection(request: Request, processes: int, threads: int, moment: int) -> str:
    """Return why SLURM would refuse a job; asked once a moment, since forms check at every key."""
    order = Order("", (), Path(os.devnull), processes=processes, threads=threads, request=request)
    try:
        gpu = takes_gpus(request)
        done = _run(["sbatch", "--test-only", *arguments(order, gpu=gpu)], b"#!/bin/sh\ntrue\n")
    except _Unanswered:
        return ""
    refused = done.returncode and not _FOR_NOW.search(done.stderr.decode("utf-8", "replace"))
    return complaint(done.stderr) if refused else ""


@functools.lru_cache(maxsize=1)
def _partitions(moment: int) -> tuple[str, ...]:
    """Return the names of SLURM's partitions; none when it does not answer."""
    try:
        done = _run(["sinfo", "--noheader", "--format=%R"])
    except _Unanswered:
        return ()
    return tuple(dict.fromkeys(done.stdout.decode("utf-8", "replace").split()))


def examine() -> tuple[str, set[str]]:
    """Return why SLURM cannot be asked (empty: it answered), and the names of its nodes."""
    try:
        done = _run(["sinfo", "--noheader", "--Node", "--format=%N"])
    except _Unanswered as error:
        return str(error), set()
    if done.returncode:
        return complaint(done.stderr), set()
    return "", set(done.stdout.decode("utf-8", "replace").split())
