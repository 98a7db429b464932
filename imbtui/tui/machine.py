"""How busy this machine is: CPU, memory, GPUs and the queue's settings."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imbtui.paths import RunsPaths

if TYPE_CHECKING:
    from imbtui.gpus import Gpu

STAT = Path("/proc/stat")
GIB = 1 << 30


@dataclass(frozen=True)
class GpuSeen:
    """One GPU now.

    Attributes:
        index, name: which it is.
        utilisation: share of time in which something ran, in [0, 1]; None if unknown.
        memory_used, memory_total: bytes.
        ours: the first letters of the ids of runs on it.
        others: users whose processes hold memory on it, and are no runs.
    """

    index: int
    name: str
    utilisation: float | None
    memory_used: int
    memory_total: int
    ours: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Machine:
    """The machine now.

    Attributes:
        cores: CPU cores that may be used.
        cpu: share of all cores that was busy since the reading before, in whole hundredths; None at first.
        gpus: readings of its GPUs.
        paused: why the queue starts nothing; empty while it does.
    """

    cores: int
    cpu: float | None = None
    gpus: tuple[GpuSeen, ...] = ()
    paused: str = ""


class MachineReader:
    """Reads the machine; remembers the counters of the reading before."""

    def __init__(self, runs: RunsPaths) -> None:
        self._runs = runs
        self._before: tuple[int, int] | None = None

    def read(self, running: Iterable[str] = ()) -> Machine:
        """Return the machine now.

        Args:
            running: ids of the runs under way, whose processes may be on its GPUs.
        """
        from imbtui import gpus, queue

        settings = queue.settings(self._runs)
        readings = gpus.list_gpus()
        trainers = self._trainers(running) if any(gpu.processes for gpu in readings) else {}
        return Machine(
            cores=len(os.sched_getaffinity(0)),
            cpu=self._cpu(),
            gpus=tuple(_seen(gpu, trainers) for gpu in readings),
            paused=queue.paused_phrase(settings) if settings.paused else "",
        )

    def _trainers(self, running: Iterable[str]) -> dict[int, str]:
        """Return the runs by the process ids of this machine that they have registered."""
        from imbtui import files
        from imbtui.paths import host

        found = {}
        for run_id in running:
            for path in self._runs.run(run_id).ranks.glob("*.json"):
                rank = files.read_json(path)
                if isinstance(rank, dict) and isinstance(rank.get("pid"), int) and rank.get("host") == host():
                    found[rank["pid"]] = run_id
        return found

    def _cpu(self) -> float | None:
        try:
            fields = [int(word) for word in STAT.read_text().split("\n", 1)[0].split()[1:]]
        except (OSError, ValueError):
            return None
        total, idle = sum(fields[:8]), fields[3] + fields[4]
        before, self._before = self._before, (total, idle)
        if before is None or total <= before[0]:
            return None
        return round(1 - (idle - before[1]) / (total - before[0]), 2)


def _seen(gpu: Gpu, trainers: Mapping[int, str]) -> GpuSeen:
    from imbtui import processes
    from imbtui.launch import RUN_MARK

    ours: dict[str, None] = {}
    others: dict[str, None] = {}
    for process in gpu.processes:
        run_id = trainers.get(process.pid) or processes.environment_value(process.pid, RUN_MARK)
        if run_id:
            ours[run_id.partition("-")[0]] = None
        else:
            others[_owner(process.pid)] = None
    return GpuSeen(
        gpu.index,
        gpu.name,
        gpu.utilisation,
        gpu.memory_used,
        gpu.memory_total,
        tuple(ours),
        tuple(others),
    )


def _owner(pid: int) -> str:
    """Return the name of the user a process belongs to."""
    import pwd

    try:
        uid = Path(f"/proc/{pid}").stat().st_uid
    except OSError:
        return "somebody"
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
