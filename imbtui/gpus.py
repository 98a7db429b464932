"""Which GPUs this machine has and who holds their memory, from NVML and never from torch.

Importing torch costs seconds and touching CUDA takes memory on every GPU; the driver's own library
answers in milliseconds and takes none.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

MIB = 1 << 20


@dataclass(frozen=True)
class GpuProcess:
    """A process that holds memory on a GPU.

    Attributes:
        pid: its process id as this machine counts it.
        memory: bytes it holds there; None where the driver does not say.
    """

    pid: int
    memory: int | None


@dataclass(frozen=True)
class Gpu:
    """One GPU now.

    Attributes:
        index: its number in the driver's order (by PCI bus, as `nvidia-smi` counts).
        name: the product's name.
        uuid: the driver's permanent name for it.
        memory_total, memory_used: bytes; what the driver keeps for itself is not counted as used.
        utilisation: share of the last sampling period in which a kernel ran, in [0, 1]; None if unknown.
        processes: who holds memory on it.
    """

    index: int
    name: str
    uuid: str
    memory_total: int
    memory_used: int
    utilisation: float | None = None
    processes: tuple[GpuProcess, ...] = ()


class Source(Protocol):
    """Where readings of GPUs come from: the driver, or a recording in tests."""

    def read(self) -> Sequence[Gpu]:
        """Return all GPUs of the machine."""


class Nvml:
    """The driver's management library. Without a driver, a library or a GPU it reads nothing, silently.

    Attributes:
        trouble: why there are no readings, as one phrase; empty when there are.
    """

    def __init__(self) -> None:
        self.trouble = ""
        self._nvml: Any = None

    def read(self) -> list[Gpu]:
        """Return all GPUs, in the driver's order."""
        if not self._start():
            return []
        nvml = self._nvml
        found = []
        try:
            for index in range(nvml.nvmlDeviceGetCount()):
                # One GPU that fell off the bus must not hide the others.
                with contextlib.suppress(nvml.NVMLError):
                    found.append(self._gpu(index))
        except nvml.NVMLError as error:
            self.trouble = str(error)
            self._nvml = None  # the driver was reloaded, perhaps: begin again next time
        return found

    def _start(self) -> bool:
        if self._nvml is not None:
            return True
        try:
            import pynvml
        except ImportError:
            self.trouble = "nvidia-ml-py is not installed"
            return False
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            self.trouble = f"NVIDIA driver: {error}"
            return False
        self._nvml, self.trouble = pynvml, ""
        return True

    def _gpu(self, index: int) -> Gpu:
        nvml = self._nvml
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        try:
            memory = nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2)
        except (nvml.NVMLError, AttributeError):  # old drivers count their own reserve as used
            memory = nvml.nvmlDeviceGetMemoryInfo(handle)
        utilisation = None
        with contextlib.suppress(nvml.NVMLError):
            utilisation = nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100
        held: dict[int, int | None] = {}
        for listing in (
            nvml.nvmlDeviceGetComputeRunningProcesses,
            nvml.nvmlDeviceGetGraphicsRunningProcesses,
        ):
            with contextlib.suppress(nvml.NVMLError):
                for process in listing(handle):
                    held[process.pid] = process.usedGpuMemory
        return Gpu(
            index=index,
            name=_text(nvml.nvmlDeviceGetName(handle)),
            uuid=_text(nvml.nvmlDeviceGetUUID(handle)),
            memory_total=memory.total,
            memory_used=memory.used,
            utilisation=utilisation,
            processes=tuple(GpuProcess(pid, size) for pid, size in sorted(held.items())),
        )


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


_driver = Nvml()


def list_gpus(source: Source | None = None, *, visible: str | None = None) -> list[Gpu]:
    """Return the GPUs that may be used here.

    Args:
        source: where readings come from; default: the driver.
        visible: a list of indices or UUIDs in the form of `CUDA_VISIBLE_DEVICES`, which is the
            default. As there, the list ends at the first entry that names no GPU.
    """
    found = list((source or _driver).read())
    if visible is None:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return found
    chosen: list[Gpu] = []
    for entry in (part.strip() for part in visible.split(",")):
        gpu = _named(found, entry)
        if gpu is None:
            break
        chosen.append(gpu)
    return sorted(set(chosen), key=lambda gpu: gpu.index)


def trouble() -> str:
    """Return why the driver reads no GPUs, as one phrase; empty when it reads."""
    _driver.read()
    return _driver.trouble


def _named(found: Sequence[Gpu], entry: str) -> Gpu | None:
    if entry.isdecimal():
        return next((gpu for gpu in found if gpu.index == int(entry)), None)
    matches = [gpu for gpu in found if entry and gpu.uuid.startswith(entry)]
    return matches[0] if len(matches) == 1 else None
