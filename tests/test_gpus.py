"""Readings of GPUs: from a recording, through a stand-in for the driver's library, and without any."""

from __future__ import annotations

import subprocess
import sys
import types
from typing import Any

import pytest

from imbtui.gpus import MIB, Gpu, GpuProcess, Nvml, list_gpus


class Recording:
    """A box with four GPUs, the second of which somebody else uses."""

    def read(self) -> list[Gpu]:
        return [
            Gpu(n, "NVIDIA H200", f"GPU-{n}a{n}b", 1000 * MIB, 400 * MIB if n == 1 else 0, 0.0, held)
            for n, held in enumerate([(), (GpuProcess(77, 400 * MIB),), (), ()])
        ]


@pytest.mark.parametrize(
    ("visible", "indices"),
    [
        ("0,1,2,3", [0, 1, 2, 3]),
        ("2, 0", [0, 2]),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("1,9,2", [1]),
        ("GPU-3a", [3]),
        ("GPU-", []),
        ("0,0", [0]),
    ],
)
def test_visible_devices_are_respected(visible: str, indices: list[int]) -> None:
    assert [gpu.index for gpu in list_gpus(Recording(), visible=visible)] == indices


def test_the_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    assert [gpu.index for gpu in list_gpus(Recording())] == [3]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert len(list_gpus(Recording())) == 4


# ruff: noqa: N802, N815 (the names are the driver's)
class Library(types.ModuleType):
    """What the driver's library answers on a box with two GPUs, one of which fell off the bus."""

    class NVMLError(Exception):
        pass

    nvmlMemory_v2 = 2

    def __init__(self, *, broken: bool = False) -> None:
        super().__init__("pynvml")
        self.broken = broken

    def nvmlInit(self) -> None:
        if self.broken:
            raise self.NVMLError("Driver Not Loaded")

    def nvmlDeviceGetCount(self) -> int:
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        if index == 0:
            raise self.NVMLError("GPU is lost")
        return index

    def nvmlDeviceGetMemoryInfo(self, handle: int, version: int | None = None) -> Any:
        if version is not None:
            raise self.NVMLError("Function Not Found")
        return types.SimpleNamespace(total=10 * MIB, used=3 * MIB)

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> Any:
        raise self.NVMLError("Not Supported")

    def nvmlDeviceGetComputeRunningProcesses(self, handle: int) -> list[Any]:
        return [types.SimpleNamespace(pid=5, usedGpuMemory=None)]

    def nvmlDeviceGetGraphicsRunningProcesses(self, handle: int) -> list[Any]:
        return [types.SimpleNamespace(pid=4, usedGpuMemory=MIB)]

    def nvmlDeviceGetName(self, handle: int) -> bytes:
        return b"Old GPU"

    def nvmlDeviceGetUUID(self, handle: int) -> str:
        return "GPU-x"


def test_a_lost_gpu_hides_no_other_and_unknown_values_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", Library())
    source = Nvml()
    (gpu,) = source.read()
    assert gpu == Gpu(
        1, "Old GPU", "GPU-x", 10 * MIB, 3 * MIB, None, (GpuProcess(4, MIB), GpuProcess(5, None))
    )
    assert source.trouble == ""


def test_without_a_driver_there_are_no_gpus_and_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", Library(broken=True))
    source = Nvml()
    assert source.read() == []
    assert source.trouble == "NVIDIA driver: Driver Not Loaded"


def test_without_the_library_there_are_no_gpus_and_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    source = Nvml()
    assert source.read() == []
    assert "not installed" in source.trouble


def test_looking_for_gpus_imports_no_torch() -> None:
    code = "import sys; from imbtui import gpus; gpus.list_gpus(); print('torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout == "False\n" and answer.stderr == ""
