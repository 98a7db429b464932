"""What a run costs until its first step: `python tests/benchmarks/launch.py [RUNS]` (default 20).

The first run of a launch pays for `accelerate launch` and for importing torch; the later runs of a pack are
forked from a process that has done so. Compared is processor time, which other work on the machine changes
little. A run here is one step, so its whole cost stands for its first step: data, network, one batch, one
evaluation, result. Goal: the later runs take 30 times less. Modules are compiled once before, in a launch
that is not measured: where Python is told to keep no bytecode, that would be most of what is.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from imbtui import folders, store
from imbtui.launch import Order
from imbtui.launch.command import command, environment
from imbtui.paths import RunPaths, RunsPaths
from imbtui.recipe import load_study
from imbtui.worker import states

RECIPE = """
title = "one step"
seeds = [{seeds}]
[dataset]
name = "digits"
[model]
name = "mlp"
hidden = [32]
[train]
steps = 1
batch_size = 64
threads = 1
"""


def make_runs(runs: RunsPaths, count: int) -> list[RunPaths]:
    """Queue one-step runs and mark them as carried by the launch `benchmark`."""
    path = runs.root.parent / "one-step.toml"
    path.write_text(RECIPE.format(seeds=", ".join(map(str, range(count)))))
    study = load_study(path)
    made = [runs.run(folders.create(runs, p, study=study, gpus="cpu", here=False)) for p in study.runs]
    for run in made:
        states.write_running(run, attempt=1, launch="benchmark", launcher=None)
    return made


def launch(made: list[RunPaths], log: Path, bytecode: Path) -> float:
    """Train runs in one launch and return the processor seconds of all its processes.

    Raises:
        CalledProcessError: a run failed.
    """
    order = Order("benchmark", tuple(run.root for run in made), log)

    def spent() -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return children.ru_utime + children.ru_stime

    keep = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(bytecode)}
    before = spent()
    with open(log, "wb") as said:
        subprocess.run(command(order), env=environment(order) | keep, stdout=said, stderr=said, check=True)
    assert all(store.read(run).state == "finished" for run in made)
    return spent() - before


def figures(count: int) -> dict[str, float]:
    """Return processor seconds: `alone` of a launch that carries one run, `later` of each further run."""
    with tempfile.TemporaryDirectory() as folder:
        runs = RunsPaths(Path(folder) / "runs")
        folders.ensure_folder(runs)
        runs.launches.mkdir()
        unmeasured, first, *rest = make_runs(runs, 3 + count)
        log, bytecode = runs.launches / "benchmark.log", Path(folder) / "bytecode"
        launch([unmeasured], log, bytecode)
        alone = launch([first], log, bytecode)
        return {"alone": alone, "later": (launch(rest, log, bytecode) - alone) / count}


def main(count: int) -> None:
    found = figures(count)
    print(
        f"a launch of its own   {found['alone']:.2f} s of processor time\n"
        f"a later run of a pack {found['later']:.3f} s, {found['alone'] / found['later']:.0f} times less"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
