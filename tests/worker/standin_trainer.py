"""Stands in for the engine: same protocol in a run folder, no torch, behaviour from the run's recipe.

The recipe's `[standin]` table: `steps` and `pause` (seconds a step), `on_term` (`save`: write a checkpoint
and stop; `ignore`), `end` (`finish`, `raise`, `segv`, `kill`, `vanish` (exit without a result), `hang`
(write the result and stay)), `helper` (start a child process of its own that never ends), `took` (GiB of
GPU memory that its result tells of), `together` (all runs of the launch train in one process).
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

from imbtui import files
from imbtui.engine import session
from imbtui.paths import RunPaths


def main(arguments: list[str]) -> int:
    runs = [RunPaths(Path(argument)) for argument in arguments]
    launcher = os.getppid()
    for run in runs:
        if os.getppid() != launcher:
            return 1  # nobody would hear of a run begun now
        if os.environ.get("STANDIN_IMPORT_ERROR"):
            import no_such_module_at_all  # noqa: F401
        if done(run):
            continue
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            train(run)
            continue
        shared = tomllib.loads(run.recipe.read_text())["standin"].get("together", False)
        child = os.fork()
        if child == 0:
            os.setsid()
            log = os.open(run.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(log, 1)
            os.dup2(log, 2)
            if shared:
                train_together([one for one in runs if not done(one)])
            else:
                train(run)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) == session.ENDED_FROM_OUTSIDE:
            return 1
        if shared:
            return 0
    return 0


def attempt_of(run: RunPaths) -> int:
    return int(json.loads(run.submit.read_text())["attempt"])


def done(run: RunPaths) -> bool:
    result = files.read_json(run.result) or {}
    stop = run.stop.read_text() if run.stop.exists() else ""
    return result.get("attempt") == attempt_of(run) or stop == str(attempt_of(run))


def train(run: RunPaths) -> None:
    recipe = tomllib.loads(run.recipe.read_text())["standin"]
    os.environ["IMBTUI_RUN_ID"] = run.id
    attempt, rank = attempt_of(run), int(os.environ.get("RANK", "0"))
    if not session.claim(run, rank, attempt):
        return
    note_start(run, attempt, rank)
    (run.root / "devices.txt").write_text(os.environ["CUDA_VISIBLE_DEVICES"])
    asked: list[int] = []
    keep = (lambda n, f: asked.append(n)) if recipe.get("on_term", "save") == "save" else signal.SIG_IGN
    signal.signal(signal.SIGTERM, keep)
    if recipe.get("helper"):
        subprocess.Popen(["sleep", "600"])
    run.checkpoints.mkdir(exist_ok=True)
    saved = run.checkpoints / "step.json"
    step = files.read_json(saved) or 0
    print(f"attempt {attempt} begins at step {step}", flush=True)
    while step < recipe.get("steps", 3):
        time.sleep(recipe.get("pause", 0.01))
        step += 1
        if asked and "WORLD_SIZE" in os.environ and not run.stop.exists():
            return  # nobody asked for it: the launcher ends the ranks that are left after one has died
        if asked and session.RESTART_MARK in os.environ and not session.stop_asked(run, attempt):
            files.write_json(saved, step)
            os._exit(session.ENDED_FROM_OUTSIDE)
        if asked:
            files.write_json(saved, step)
            finish(run, attempt, rank, "stopped", step)
            return
    how = recipe.get("end", "finish")
    if how == "raise":
        finish(run, attempt, rank, "failed", step, "ValueError: as told")
    elif how == "segv":
        print("Fatal Python error: Segmentation fault", flush=True)
        os.kill(os.getpid(), signal.SIGSEGV)
    elif how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "vanish":
        print(recipe.get("says", "last words"), flush=True)
    else:
        finish(run, attempt, rank, "finished", step)
        while how == "hang":
            time.sleep(60)


def train_together(runs: list[RunPaths]) -> None:
    """Train runs in this process; one that is asked to stop leaves, unless it ignores that."""
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
    going = {run: attempt_of(run) for run in runs if session.claim(run, 0, attempt_of(run))}
    recipes = {run: tomllib.loads(run.recipe.read_text())["standin"] for run in going}
    for run, attempt in going.items():
        note_start(run, attempt, 0)
    step = 0
    while going:
        time.sleep(0.01)
        step += 1
        for run, attempt in list(going.items()):
            stops = asked and run.stop.exists() and recipes[run].get("on_term", "save") == "save"
            if stops or step == recipes[run].get("steps", 3):
                finish(run, attempt, 0, "stopped" if stops else "finished", step)
                del going[run]


def finish(run: RunPaths, attempt: int, rank: int, state: str, step: int, reason: str = "") -> None:
    if rank == 0:
        result = {"attempt": attempt, "state": state, "reason": reason, "metrics": {"test/accuracy": 0.5}}
        recipe = tomllib.loads(run.recipe.read_text())["standin"]
        if "took" in recipe:
            result["gpu_memory"] = recipe["took"] << 30
        files.write_json(
            run.result, {**result, "seconds": 0.1, "steps": step, "epochs": 1, "fit_epoch": None}
        )


def note_start(run: RunPaths, attempt: int, rank: int) -> None:
    """Leave a trace of every start, and of two processes that train one run at once."""
    lock = os.open(run.root / f"trained-{rank}.lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        word = "start"
    except BlockingIOError:
        word = "DOUBLE"
    trace = os.open(run.root / "starts.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(trace, f"{word} {attempt} {rank}\n".encode())
    os.close(trace)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
