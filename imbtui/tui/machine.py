"""How busy this machine is: CPU, memory, GPUs and the queue's settings."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imbtui.paths import RunsPaths

if TYPE_CHECKING:
    from imbtui.gpus import Gpu

STAT = Path("/proc/stat")


@dataclass(frozen=True)
class Machine:
    """The machine now.

    Attributes:
        cores: CPU cores that may be used.
        cpu: share of all cores that was busy since the reading before, in [0, 1]; None at first.
        gpus: readings of its GPUs.
        paused: why the queue starts nothing; empty while it does.
    """

    cores: int
    cpu: float | None = None
    gpus: tuple[Gpu, ...] = ()
    paused: str = ""


class MachineReader:
    """Reads the machine; remembers the counters of the reading before."""

    def __init__(self, runs: RunsPaths) -> None:
        self._runs = runs
        self._before: tuple[int, int] | None = None

    def read(self) -> Machine:
        """Return the machine now."""
        from imbtui import gpus, queue

        settings = queue.settings(self._runs)
        return Machine(
            cores=len(os.sched_getaffinity(0)),
            cpu=self._cpu(),
            gpus=tuple(gpus.list_gpus()),
            paused=queue.paused_phrase(settings) if settings.paused else "",
        )

    def _cpu(self) -> float | None:
        try:
            fields = [int(word) for word in STAT.read_text().split("\n", 1)[0].split()[1:]]
        except (OSError, ValueError):
            return None
        total, idle = sum(fields[:8]), fields[3] + fields[4]
        before, self._before = self._before, (total, idle)
        if before is None or total <= before[0]:
            return None
        return 1 - (idle - before[1]) / (total - before[0])
