"""Why a run crashed, in one phrase, from what its log says last."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from imbtui import files

GONE = "its process is gone"
FULL = "the disk is full"
LITTLE = 1 << 20  # bytes; with less than that free a disk is full
_KILLED = "killed by SIGKILL"

# What the last lines may say, most telling first; a phrase may quote the match.
_SIGNS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), phrase)
    for pattern, phrase in (
        (r"CUDA out of memory|OutOfMemoryError|CUDA error: out of memory", "out of GPU memory"),
        (r"No space left on device|Disk quota exceeded", FULL),
        (
            r"\bMemoryError\b|std::bad_alloc|[Cc]an(?:not|'t) allocate memory|not enough memory",
            "out of memory",
        ),
        (r"^(?:ModuleNotFoundError|ImportError): (.+)", "import error: {0}"),
        (r"Bus error|SIGBUS", "killed by SIGBUS (often: shared memory is full)"),
        (r"Segmentation fault|SIGSEGV", "killed by SIGSEGV"),
        (r"^slurmstepd\S*: error: .*DUE TO TIME LIMIT", "the time limit of its SLURM job was reached"),
        (r"^slurmstepd\S*: error: .*oom.kill", "out of memory (killed by SLURM)"),
        (r"SIGKILL|exitcode\s*: -9", _KILLED),
        (r"\bSIG(ABRT|FPE|ILL|TERM|INT|HUP|QUIT|XCPU)\b(?<!closing signal SIGTERM)", "killed by SIG{0}"),
    )
)

# Lines that launchers and tracebacks add around the words that matter.
_NOISE = re.compile(
    r"^\s|^Traceback|^[=\-]*$|^\w*(?:CalledProcessError|ChildFailedError)|^subprocess\.|^torch\.distributed\."
    r"|^[EW]\d{4} |^Root Cause|^Failures|<NO_OTHER_FAILURES>"
)


def explain(run_log: Path, launch_log: Path, *, since: int = 0, memory_ran_out: bool = False) -> str:
    """Return why a run ended without a result.

    Args:
        run_log: what the run's own processes printed.
        launch_log: what its launcher printed.
        since: bytes of `run_log` that were there before the launch.
        memory_ran_out: the kernel has ended processes for lack of memory since the launch.
    """
    lines = last_lines(run_log, since=since)
    reason = _sign(lines) or _sign(last_lines(launch_log))
    if reason in ("", _KILLED) and memory_ran_out:
        return "out of memory (killed by the kernel)"
    if reason:
        return reason
    if _is_full(run_log.parent):
        return FULL
    said = _last_words(lines)
    return f"{GONE}; its log ends: {said}" if said else GONE


def explain_launch(launch_log: Path, *, since: int = 0) -> str:
    """Return why a launch ended before it began a run; see `explain`."""
    lines = last_lines(launch_log, since=since)
    if reason := _sign(lines):
        return reason
    return FULL if _is_full(launch_log.parent) else _last_words(lines) or GONE


def _is_full(folder: Path) -> bool:
    """Whether a run that ended without a word may have found no room for one."""
    try:
        return shutil.disk_usage(folder).free < LITTLE
    except OSError:
        return False


def last_lines(log: Path, *, since: int = 0, count: int = 60) -> list[str]:
    """Return the last lines of a log that stand behind its first `since` bytes."""
    try:
        size = log.stat().st_size - since
    except OSError:
        return []
    # One byte more: the reader drops its first line as torn, which then is the end of the line before.
    return files.last_lines(log, count, span=min(size + 1, 1 << 16)) if size > 0 else []


def _sign(lines: Sequence[str]) -> str:
    for pattern, phrase in _SIGNS:
        for line in reversed(lines):
            if match := pattern.search(line):
                return phrase.format(*map(_short, match.groups()))
    return ""


def _last_words(lines: Sequence[str]) -> str:
    said = (line for line in reversed(lines) if not _NOISE.search(line))
    return _short(next(said, ""))


def _short(text: str) -> str:
    return files.printable(text.strip())[:200]
