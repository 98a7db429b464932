"""Does an operation in a child process that is killed at its n-th write point, for n = 1, 2, ...

    python executioner.py OPERATION RUNS_FOLDER [ARGUMENT...]

Write points are the calls that change files: write, fsync, replace, unlink, truncate, mkdir. A line on stdin
asks for one child: `N before` kills it just before its n-th write point, `N torn` after half of the bytes of
a write there, `0 whole` never. The answer is a line on stdout: `killed`, `done`, or `passed` where the n-th
point is no write that could be torn.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from imbtui import files, index, store
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
        store.update_submit(run, attempt=store.read(run).attempt + 1)
        store.write_notes(run, tags=["again"], note="")
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
        store.remove(runs, run_id)
    index.sync(runs, ids)


def submit(runs: RunsPaths, recipe: str) -> None:
    store.record_study(runs, STUDY)
    created = [store.create(runs, planned, study=STUDY, gpus="cpu", here=False) for planned in STUDY.runs]
    index.sync(runs, created)


def record(runs: RunsPaths, *ids: str) -> None:
    """What a trainer writes: a row of metrics and its result."""
    for run_id in ids:
        run = runs.run(run_id)
        rows = files.LineWriter(run.metrics)
        rows.append(b'{"stage": "train", "step": 1, "epoch": 1, "test/accuracy": 0.5}')
        rows.close()
        files.write_json(run.result, {"attempt": 1, "state": "finished", "metrics": {"test/accuracy": 0.5}})


def main(operation: str, folder: str, *arguments: str) -> None:
    runs = RunsPaths(Path(folder))
    act = globals()[operation]
    if operation == "submit":
        from imbtui.recipe import load_study

        global STUDY
        STUDY = load_study(arguments[0])
    # What is imported late must not be counted, and a child has no time for it.
    import filelock  # noqa: F401
    import tomlkit  # noqa: F401

    for line in sys.stdin:
        number, how = line.split()
        child = os.fork()
        if child == 0:
            if int(number):
                armed(int(number), how)
            act(runs, *arguments)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            answer = "killed"
        else:
            answer = {0: "done", PASSED: "passed"}.get(os.WEXITSTATUS(status), "failed")
        print(answer, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
