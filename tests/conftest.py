"""Fixtures shared by all tests."""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from imbtui import folders, store
from imbtui.paths import RunPaths, RunsPaths

REPOSITORY = Path(__file__).parent.parent
SHARED_DATA = REPOSITORY.parent / "shared" / "data"


@pytest.fixture(autouse=True)
def _own_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a developer's own runs folder, configuration and terminal settings out of the tests."""
    for name in ("IMBTUI_RUNS", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("IMBTUI_CONFIG", os.devnull)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def data_root(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with real image data, also exported as `IMBTUI_DATA`."""
    named = os.environ.get("IMBTUI_DATA")
    root = Path(named) if named else SHARED_DATA
    if not root.is_dir():
        pytest.skip("no real data: set IMBTUI_DATA to a folder in torchvision's layout")
    monkeypatch.setenv("IMBTUI_DATA", str(root))
    return root


@pytest.fixture(scope="session")
def load_benchmark() -> Callable[[str], ModuleType]:
    """`load_benchmark("index")` is tests/benchmarks/index.py."""

    def load(name: str) -> ModuleType:
        path = REPOSITORY / "tests" / "benchmarks" / f"{name}.py"
        specification = importlib.util.spec_from_file_location(f"{name}_benchmark", path)
        assert specification is not None and specification.loader is not None
        module = importlib.util.module_from_spec(specification)
        sys.modules[module.__name__] = module  # its dataclasses look themselves up there
        specification.loader.exec_module(module)
        return module

    return load


MakeRuns = Callable[..., list[RunPaths]]

TINY = """
title = "tiny"
seeds = [0]
[dataset]
name = "digits"
protocol = "long_tail"
[[corruptions]]
name = "long_tail"
ratio = 100
n_max = 120
[augmentation]
input_noise = 0.1
[model]
name = "mlp"
hidden = [32]
[loss]
name = "cross_entropy"
normalise = "weights"
[optimizer]
lr = 0.05
momentum = 0.9
[train]
epochs = 3
batch_size = 64
threads = 1
"""


@pytest.fixture
def runs(tmp_path: Path) -> RunsPaths:
    """An empty runs folder."""
    folder = RunsPaths(tmp_path / "runs")
    folders.ensure_folder(folder)
    return folder


@pytest.fixture
def make_runs(runs: RunsPaths, tmp_path: Path) -> MakeRuns:
    """Create the run folders of a recipe's text (default: a tiny one), with `KEY=VALUE` overrides."""
    from imbtui.recipe import load_study

    def make(
        *assignments: str, toml: str = TINY, name: str = "tiny", gpus: list[int] | str | None = "cpu"
    ) -> list[RunPaths]:
        path = tmp_path / f"{name}.toml"
        path.write_text(toml)
        study = load_study(path, assignments)
        folders.record_study(runs, study)
        return [runs.run(folders.create(runs, p, study=study, gpus=gpus, here=False)) for p in study.runs]

    return make


Train = Callable[..., dict[str, Any]]


@pytest.fixture
def train() -> Train:
    """Train a run in this process and return its result."""
    from imbtui.engine import session

    def run_it(run: RunPaths, stop_flag: list[int] | None = None) -> dict[str, Any]:
        attempt = session.attempt_of(run)
        session.train_run(
            run, attempt=attempt, stop_flag=[] if stop_flag is None else stop_flag, provenance={}
        )
        return json.loads(run.result.read_text())

    return run_it


TWO_RANKS = """
import sys, torch, torch.distributed as dist
from imbtui.engine import __main__ as trainer
from imbtui.engine.run import Run

finish = Run.finish_stage
def compare(self, stage, t, objective):
    for name, value in objective.state_dict().items():
        if torch.is_tensor(value):
            both = [torch.empty_like(value) for _ in range(2)]
            dist.all_gather(both, value.contiguous())
            assert torch.equal(*both), f"ranks differ in {name}"
    finish(self, stage, t, objective)
Run.finish_stage = compare
sys.exit(trainer.main(sys.argv[1:]))
"""


@pytest.fixture
def train_on_two_ranks() -> Callable[..., None]:
    """Train runs in one launch of two CPU processes, whose weights must be equal to the bit at each end."""

    def run_them(*runs: RunPaths) -> None:
        launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "--no-python"]
        done = subprocess.run(
            [sys.executable, *launch, sys.executable, "-c", TWO_RANKS, *(str(run.root) for run in runs)],
            env=os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"},
            capture_output=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()[-3000:]
        for run in runs:
            assert store.read(run).state == "finished"
            assert json.loads(run.env.read_text())["processes"] == 2

    return run_them


class Disk:
    """A small disk that can be filled up.

    Args:
        root: where it is mounted.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._filler = root / ".filler"

    def fill(self, *, leave: int = 0) -> None:
        """Take all but `leave` bytes of it."""
        with open(self._filler, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError as error:
                assert error.errno == errno.ENOSPC
            file.truncate(max(0, file.tell() - leave))

    def free(self) -> None:
        """Give it back."""
        self._filler.unlink()


@pytest.fixture
def small_disk() -> Iterator[Callable[[Path, str], Disk]]:
    """Mount a disk in memory over a folder: `small_disk(folder, "2m")`. Only the superuser can."""
    mounted: list[Path] = []

    def mount(folder: Path, size: str) -> Disk:
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        if not shutil.which("mount") or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("only the superuser can mount a small disk")
        mounted.append(folder)
        return Disk(folder)

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)
