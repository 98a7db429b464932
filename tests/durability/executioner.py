"""Does an operation in a child process that is killed at its n-th write point, for n = 1, 2, ...

    python executioner.py OPERATION RUNS_FOLDER [ARGUMENT...]

Write points are the calls that change files: write, fsync, replace, unlink, truncate, mkdir. A line on stdin
asks for one child:

| line | the child is killed | answer on stdout |
| --- | --- | --- |
| `before N` | just before its n-th write point | `killed`, or `done` where it has fewer |
| `torn N` | after half of the bytes of a write there | likewise, or `passed` if that point is no write |
| `after S` | S seconds after it first told of something done | the last number it told |
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from imbtui import files, folders, index, store
from imbtui.paths import RunsPaths

STUDY: Any = None
POINTS = ("write", "fsync", "replace", "rename", "unlink", "ftruncate", "truncate", "mkdir")
PASSED = 3


def armed(number: int, how: str) -> None:
    """Make the n-th write point of this process its last."""
    seen = 0

    def at_point(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def point(*arguments: Any, **options: Any) -> Any:
            nonlocal seen
            seen += 1
            if seen == number:
                if how == "torn":
                    if name != "write" or len(arguments[1]) < 2:
                        os._exit(PASSED)
                    call(arguments[0], arguments[1][: len(arguments[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **options)

        return point

    for name in POINTS:
        setattr(os, name, at_point(name, getattr(os, name)))


def change(runs: RunsPaths, *ids: str) -> None:
    """What resuming and tagging do: files of run folders, then the index."""
    for run_id in ids:
        run = runs.run(run_id)
        folders.update_submit(run, attempt=store.read(run).attempt + 1)
        folders.write_notes(run, tags=["again"], note="")
    index.sync(runs, ids)


def change_many(runs: RunsPaths, *ids: str) -> None:
    """Changes that stay in the journal, as with thousands of runs."""
    index.FOLD_BELOW, index.FOLD_SHARE = 0, 1e9
    change(runs, *ids)


def rebuild(runs: RunsPaths) -> None:
    index.rebuild(runs)


def mend(runs: RunsPaths) -> None:
    """What a reader does who finds the index damaged."""
    runs.index.write_bytes(b"{garbage")
    index.query(runs)


def remove(runs: RunsPaths, *ids: str) -> None:
    for run_id in ids:
        folders.remove(runs, run_id)
    index.sync(runs, ids)


def submit(runs: RunsPaths, recipe: str) -> None:
    folders.record_study(runs, STUDY)
    created = [folders.create(runs, planned, study=STUDY, gpus="cpu", here=False) for planned in STUDY.runs]
    index.sync(runs, created)


def record(runs: RunsPaths, *ids: str) -> None:
    """What a trainer writes: a row of metrics and its result."""
    for run_id in ids:
        run = runs.run(run_id)
        rows = files.LineWriter(run.metrics)
        rows.append(b'{"stage": "train", "step": 1, "epoch": 1, "test/accuracy": 0.5}')
        rows.close()
        files.write_json(run.result, {"attempt": 1, "state": "finished", "metrics": {"test/accuracy": 0.5}})


def change_forever(runs: RunsPaths, *ids: str) -> None:
    for number in itertools.count(1):
        change(runs, ids[number % len(ids)])
        tell(number)


def save(runs: RunsPaths, run_id: str, times: int = 2) -> None:
    """Save the weights of a stage under way, each time one step further."""
    import torch

    from imbtui.engine.checkpoint import Checkpoints
    from imbtui.engine.log import MetricsLog
    from imbtui.engine.tick import Tick

    run = runs.run(run_id)
    checkpoints = Checkpoints(run.checkpoints, writes=True, device=torch.device("cpu"), every=None)
    log = MetricsLog(run.metrics)
    before = checkpoints.under_way("train")
    done = before["step"] if before else 0
    weights = torch.nn.Linear(1000, 500)
    optimizer = torch.optim.SGD(weights.parameters(), lr=0.1)
    for step in range(done, done + times):
        torch.nn.init.constant_(weights.weight, step + 1)
        log.write("train", step + 1, 0, {"test/loss": 1.0})
        checkpoints.save(Tick("train", step, 10, 10**9), weights, optimizer, log, scaler={}, probes={})
        if times > 2:
            tell(step + 1)


def save_forever(runs: RunsPaths, run_id: str) -> None:
    save(runs, run_id, 10**9)


def tell(number: int) -> None:
    print(number, flush=True)


def kill_after(seconds: float, act: Callable[[], None]) -> str:
    """Let a child begin, wait, kill it; return the last number that it told."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(writing, 1)
        act()
        os._exit(1)
    os.close(writing)
    with open(reading) as told:
        last = told.readline()
        time.sleep(seconds)  # the moment is the point here: any will do
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        lines = told.read().splitlines() or [last]
    return lines[-1].strip()


def kill_at(number: int, how: str, act: Callable[[], None]) -> str:
    """Do it in a child that is killed at its n-th write point."""
    child = os.fork()
    if child == 0:
        armed(number, how)
        act()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return "killed"
    return {0: "done", PASSED: "passed"}.get(os.WEXITSTATUS(status), "failed")


def main(operation: str, folder: str, *arguments: str) -> None:
    runs = RunsPaths(Path(folder))
    if operation == "submit":
        from imbtui.recipe import load_study

        global STUDY
        STUDY = load_study(arguments[0])
    if operation.startswith("save"):
        import torch._dynamo  # noqa: F401

        import imbtui.engine.checkpoint  # noqa: F401
    # What is imported late must not be counted, and a child has no time for it.
    import filelock  # noqa: F401
    import tomlkit  # noqa: F401

    act = partial(globals()[operation], runs, *arguments)
    for line in sys.stdin:
        how, when = line.split()
        print(kill_after(float(when), act) if how == "after" else kill_at(int(when), how, act), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
