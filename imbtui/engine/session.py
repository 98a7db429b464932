"""One attempt at one run, from its folder to its result.json."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Collection
from pathlib import Path
from typing import Any

from imbtui import files
from imbtui.errors import UserError
from imbtui.paths import RunPaths, RunsPaths
from imbtui.processes import Identity

RUN_MARK = "IMBTUI_RUN_ID"
LAUNCH_MARK = "IMBTUI_LAUNCH_ID"
STOPPED = "it was asked to stop"
RESTART_MARK = "IMBTUI_RESTART"
INTERRUPTED = "interrupted"  # no outcome of the run: its launch was ended, and it goes on from its checkpoint
ENDED_FROM_OUTSIDE = 76  # exit status of a process whose launch was ended: no other run is begun in it
DIFF_LIMIT = 1 << 20
RESERVE = 1 << 18  # bytes; a result with the curves of a thousand classes and a traceback fit


def attempt_of(run: RunPaths) -> int:
    """Return the number of the attempt that submit.json asks for."""
    submit = files.read_json(run.submit)
    return submit.get("attempt", 1) if isinstance(submit, dict) else 1


def is_done(run: RunPaths) -> bool:
    """Whether the current attempt has a result, or was asked to stop before it began."""
    attempt = attempt_of(run)
    return has_result(run, attempt) or stop_asked(run, attempt)


def has_result(run: RunPaths, attempt: int) -> bool:
    """Whether an attempt has said how it ended."""
    result = files.read_json(run.result)
    return isinstance(result, dict) and result.get("attempt") == attempt


def stop_asked(run: RunPaths, attempt: int) -> bool:
    """Whether the stop file means this attempt; an empty one means whichever is current."""
    try:
        return run.stop.read_text(errors="replace").strip() in ("", str(attempt))
    except OSError:
        return False


def register(run: RunPaths, rank: int, attempt: int) -> None:
    """Write who this rank is, so that a worker can signal it, watch it and adopt it."""
    identity = Identity.of(os.getpid())
    assert identity is not None
    run.ranks.mkdir(mode=files.PRIVATE_FOLDER, exist_ok=True)
    document = {
        "format": 1,
        "attempt": attempt,
        "rank": rank,
        "launch": os.environ.get(LAUNCH_MARK, ""),
        "restart": int(os.environ.get(RESTART_MARK, "0")),
        **identity.to_json(),
    }
    files.write_json(run.rank(rank), document, durable=False)


def claim(run: RunPaths, rank: int, attempt: int) -> bool:
    """Register this rank; return False, having done nothing, when the run is not this launch's any more.

    The worker may have given a run that waited in this launch to another one, or its user may have
    stopped it. The lock makes that and the registration exclude each other.
    """
    launch = os.environ.get(LAUNCH_MARK)
    if not launch:  # by hand: nobody else knows of it
        register(run, rank, attempt)
        return True
    with files.locked(RunsPaths(run.root.parent).launch_lock(launch)):
        state = files.read_json(run.state)
        wanted = {"attempt": attempt, "launch": launch, "state": "running"}
        if not isinstance(state, dict) or any(state.get(key) != value for key, value in wanted.items()):
            return False
        register(run, rank, attempt)
    return True


def catch_stop(numbers: tuple[signal.Signals, ...] = (signal.SIGTERM,)) -> list[int]:
    """Turn signals into a flag that the loop looks at between steps; return the flag."""
    flag: list[int] = []

    def note(number: int, frame: Any) -> None:
        flag.append(number)

    for number in numbers:
        signal.signal(number, note)
    return flag


class Attempt:
    """What an attempt leaves in its run's folder beside metrics and checkpoints.

    Args:
        run: the folder.
        number: the attempt.
        writes: whether this process is the one that writes (rank 0).
        sharing: runs that share the process: each has taken its part of the time.
    """

    def __init__(self, run: RunPaths, number: int, *, writes: bool = True, sharing: int = 1) -> None:
        self.run = run
        self.number = number
        self.writes = writes
        self.sharing = sharing
        self.under_way: Any = None
        self._system: Any = None

    def begin(self, under_way: Any, provenance: dict[str, Any]) -> None:
        """Say with what the run trains, and watch the machine while it does."""
        from imbtui.engine.system import SystemLog

        self.under_way = under_way
        if not self.writes:
            return
        # Random, since some file systems store zeros as nothing.
        files.write_atomic(self.run.reserve, os.urandom(RESERVE), durable=False)
        files.write_json(self.run.env, provenance | _of_run(under_way), durable=False)
        self._system = SystemLog(self.run, cuda=under_way.context.device.type == "cuda")
        self._system.start()

    def give_room(self) -> None:
        """Free what was kept for last words, should the disk be full."""
        if self.writes:
            self.run.reserve.unlink(missing_ok=True)

    def end(self, state: str, reason: str) -> str:
        """Write how it ended, and return that.

        Where a scheduler ends the launch, nobody asked the run to stop: it is `interrupted`, which is no
        result.
        """
        _tell()
        if self._system is not None:
            self._system.stop()
        if state == "stopped" and RESTART_MARK in os.environ and not stop_asked(self.run, self.number):
            state = INTERRUPTED
        if self.writes:
            self.give_room()
            if state != INTERRUPTED:
                self._write_result(state, reason)
        return state

    def _write_result(self, state: str, reason: str) -> None:
        log = None if self.under_way is None else self.under_way.log
        document = {
            "attempt": self.number,
            "state": state,
            "reason": reason,
            "metrics": {} if log is None else log.last,
            "best": None if log is None or not log.best else log.best,
            "seconds": None if log is None else round(log.seconds / self.sharing, 3),
            "steps": None if log is None else log.steps,
            "epochs": None if log is None else log.epochs,
            "fit_epoch": None if log is None else log.fit_epoch,
        }
        memory = _gpu_memory(self.under_way)
        files.write_json(self.run.result, document | ({} if memory is None else {"gpu_memory": memory}))


def train_run(run: RunPaths, *, attempt: int, stop_flag: list[int], provenance: dict[str, Any]) -> str:
    """Train one run and write its result; return its state (`finished`, `stopped`, `failed`, `interrupted`).

    Nothing is raised: what went wrong is in the result in one sentence, and with its traceback in the
    log.
    """
    from imbtui.engine.build import build, make_accelerator
    from imbtui.engine.fit import Stopped
    from imbtui.recipe.read import read_resolved

    state, reason = "failed", "it ended without saying why"
    this = Attempt(run, attempt, writes=os.environ.get("RANK", "0") == "0")
    try:
        recipe = read_resolved(run.recipe)
        use_threads(recipe.train.threads)
        under_way = build(recipe, run, make_accelerator(recipe), stop_flag)
        this.begin(under_way, provenance)
        planner = under_way.planner
        if planner is None or planner.plan is None:
            under_way.fit("train")
        else:
            planner.plan(under_way)
        under_way.close()
        state, reason = "finished", ""
    except Stopped as error:
        state, reason = "stopped", STOPPED
        this.writes = this.writes and not _follows_another_rank(error, run, attempt)
    except BaseException as error:
        reason = explain(error, this)
        this.writes = this.writes and not _follows_another_rank(error, run, attempt)
        if not isinstance(error, Exception):
            raise
    finally:
        state = this.end(state, reason)
    return state


def exit_status(states: Collection[str]) -> int:
    """Return the exit status of a process whose runs ended like this."""
    return ENDED_FROM_OUTSIDE if INTERRUPTED in states else int("failed" in states)


def redirect(log: Path) -> None:
    """Let this process print into a run's log from now on."""
    sys.stdout.flush()
    sys.stderr.flush()
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def note(log: Path, line: str) -> None:
    """Append a line to the log of a run that this process does not print to."""
    with contextlib.suppress(OSError, ValueError):
        writer = files.LineWriter(log)
        writer.append(line.encode())
        writer.close()


def use_threads(count: int) -> None:
    """Compute with so many CPU threads; 0: as the launch has set it."""
    if count:
        import torch

        torch.set_num_threads(count)


def explain(error: BaseException, *attempts: Attempt) -> str:
    """Return why attempts fail, in a sentence; the log is told as much, or where it happened."""
    if isinstance(error, UserError):
        _tell(str(error))
        return str(error)
    for attempt in attempts:
        attempt.give_room()
    _tell("".join(traceback.format_exception(error)).rstrip())
    return _reason(error)


def _tell(text: str = "") -> None:
    """Print into the log what a run has to say, as far as there is room for it."""
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        print(text, end="\n" if text else "", file=sys.stderr, flush=True)


def _follows_another_rank(error: BaseException, run: RunPaths, attempt: int) -> bool:
    """Whether this rank ends only because another one has died.

    The launcher then ends it with a signal that nobody asked for, or its connection breaks. No result is
    written: the run crashed, and the worker tells why from what the rank that died left behind.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return False
    if type(error).__name__ == "Stopped":
        return not stop_asked(run, attempt)
    broken = ("gloo/transport", "Connection closed by peer", "Connection reset by peer", "Broken pipe")
    return type(error).__name__.startswith("Dist") or any(sign in str(error) for sign in broken)


def _gpu_memory(under_way: Any) -> int | None:
    """Return the most bytes that this run took of its GPU, or None where it used none.

    What torch has reserved counts and not what tensors filled of it: nobody else can have the rest.
    """
    if under_way is None or under_way.context.device.type != "cuda":
        return None
    import torch

    return torch.cuda.max_memory_reserved(under_way.context.device)


def _reason(error: BaseException) -> str:
    name = type(error).__name__
    if name == "OutOfMemoryError":
        return "out of GPU memory"
    if isinstance(error, MemoryError):
        return "out of memory"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full"
    sentence = str(error).strip().splitlines()
    return f"{name}: {sentence[0]}" if sentence else name


def _of_run(under_way: Any) -> dict[str, Any]:
    import torch

    context = under_way.context
    return {
        "device": str(context.device),
        "gpu": torch.cuda.get_device_name(context.device) if context.device.type == "cuda" else None,
        "processes": under_way.accelerator.num_processes,
        "threads": torch.get_num_threads(),
        "steps_per_epoch": under_way.steps_per_epoch,
        "steps": under_way.steps,
        "stages": ["train"] if under_way.planner is None else under_way.planner.stages(),
        "parameters": sum(p.numel() for p in context.model.parameters()),
        "examples": {split: len(examples) for split, examples in context.examples.items()},
        "class_counts": context.class_counts.tolist(),
        "corrupted": _corrupted(context.examples["train"]),
    }


def _corrupted(train: Any) -> dict[str, float]:
    """Return how many training examples corruptions changed, and the share of labels that are wrong."""
    return {
        "examples": int(train.is_corrupted.sum()),
        "flip_rate": round(float((train.targets != train.clean_targets).mean()), 6),
    }


def provenance(folder: Path) -> dict[str, Any]:
    """Return what a run's result depends on beside its recipe: code, versions, machine.

    Args:
        folder: where git is asked for commit and uncommitted changes.
    """
    import platform
    from importlib import metadata

    packages = ("imbtui", "torch", "accelerate", "numpy", "torchvision")
    versions = {}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    diff = _git(folder, "diff", "HEAD")
    return {
        "format": 1,
        "git_commit": _git(folder, "rev-parse", "HEAD") or None,
        "git_dirty": bool(diff),
        "git_diff": diff[:DIFF_LIMIT],
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": versions,
        "argv": [files.printable(argument) for argument in sys.argv],
    }


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", os.fspath(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else ""
