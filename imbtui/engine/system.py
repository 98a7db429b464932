"""How busy process, machine and GPUs were while a run trained: a row every so often in system.jsonl.

A thread samples, so that closed-form plans and long evaluations are covered as well as the loop. A sample
reads four small files of /proc (0.1 ms) and, on a GPU, the driver's counters. The interval doubles as the
run goes on: a run of ten seconds has twenty rows, one of a day has about a thousand.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import orjson

from imbtui import files
from imbtui.paths import RunPaths

INTERVAL, LONGEST = 0.5, 60.0  # seconds between samples, at first and at most
ROWS_AN_INTERVAL = 120
GIB = 1 << 30


class SystemLog:
    """Samples from `start` to `stop`. Rank 0 of a run has one.

    Args:
        run: the run's folder.
        cuda: whether it trains on GPUs.
    """

    def __init__(self, run: RunPaths, *, cuda: bool) -> None:
        self._path = run.system
        self._cuda = cuda
        self._offset = _last_time(run.system)
        self._taken = 0
        self._began = time.monotonic()
        self._before = (self._began, _process_seconds(), _machine_ticks())
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample_on, name="system log", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Take a last sample and wait for it."""
        self._over.set()
        self._thread.join(timeout=5)

    def _sample_on(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # a full disk ends it; the run goes on
            writer = files.LineWriter(self._path)
            try:
                interval, rows = INTERVAL, 0
                while True:
                    over = self._over.wait(interval)
                    writer.append(orjson.dumps(self._sample()))
                    if over:
                        break
                    rows += 1
                    if rows % ROWS_AN_INTERVAL == 0:
                        interval = min(LONGEST, 2 * interval)
            finally:
                writer.close()

    def _sample(self) -> dict[str, Any]:
        """Return a row: samples, seconds, and what was used since the sample before or is used now.

        `process/cpu` counts cores; `process/memory` and `gpu<i>/memory` are GiB; `machine/cpu`,
        `machine/memory` and `gpu<i>/utilisation` are shares in [0, 1].
        """
        now, seconds, ticks = time.monotonic(), _process_seconds(), _machine_ticks()
        then, seconds_before, ticks_before = self._before
        self._before = (now, seconds, ticks)
        passed = max(now - then, 1e-3)
        total = ticks[0] - ticks_before[0]
        self._taken += 1
        row: dict[str, Any] = {
            "step": self._taken,
            "time": round(self._offset + now - self._began, 2),
            "process/cpu": round((seconds - seconds_before) / passed, 3),
            "process/memory": round(_process_memory() / GIB, 3),
        }
        if total > 0:
            row["machine/cpu"] = round(1 - (ticks[1] - ticks_before[1]) / total, 3)
        used = _machine_memory()
        if used is not None:
            row["machine/memory"] = round(used, 3)
        return row | (_gpus() if self._cuda else {})


def _last_time(path: Path) -> float:
    """Return where an earlier attempt's clock stood."""
    for line in reversed(files.last_lines(path, 2)):
        with contextlib.suppress(ValueError, TypeError, KeyError):
            return float(json.loads(line)["time"])
    return 0.0


def _process_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _process_memory() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _machine_ticks() -> tuple[int, int]:
    """Return the ticks of all cores since boot, and those that were idle."""
    fields = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    return sum(fields[:8]), fields[3] + fields[4]


def _machine_memory() -> float | None:
    """Return the share of the machine's memory that is in use."""
    known = {}
    for line in Path("/proc/meminfo").read_text().splitlines()[:4]:
        name, _, rest = line.partition(":")
        known[name] = int(rest.split()[0])
    if not known.get("MemTotal") or "MemAvailable" not in known:
        return None
    return 1 - known["MemAvailable"] / known["MemTotal"]


def _gpus() -> dict[str, float]:
    """Return utilisation and memory of the GPUs that this process may use."""
    from imbtui.gpus import list_gpus

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    mine = None if visible is None else {part.strip() for part in visible.split(",")}
    row = {}
    for gpu in list_gpus():
        if mine is None or str(gpu.index) in mine or gpu.uuid in mine:
            if gpu.utilisation is not None:
                row[f"gpu{gpu.index}/utilisation"] = round(gpu.utilisation, 3)
            row[f"gpu{gpu.index}/memory"] = round(gpu.memory_used / GIB, 3)
    return row
