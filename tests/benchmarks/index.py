"""What the index costs with thousands of runs: `python tests/benchmarks/index.py [RUNS]` (default 10,000).

| figure | goal |
| --- | --- |
| one state change, processor time | < 15 ms |
| `imbtui ls` (newest 50), whole process, processor time | < 0.3 s |
| index written anew from 1,000 run folders | < 5 s |
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from imbtui import files, index
from imbtui.paths import RunPaths, RunsPaths, host

METRICS = {
    f"{split}/{name}": 0.1 + 0.01 * place
    for split in ("train", "test")
    for place, name in enumerate(("loss", "accuracy", "balanced_accuracy", "few_accuracy", "ece"))
}


def make_runs(runs: RunsPaths, count: int, *, state: str = "finished") -> list[RunPaths]:
    """Write run folders as submitter, trainer and worker leave them; `state`: `finished` or `queued`."""
    made = []
    for number in range(count):
        run = runs.run(f"r{number:05d}-ldam-drw-s{number % 5}")
        run.ranks.mkdir(parents=True)
        submit = {
            "format": 1, "attempt": 1, "priority": 0, "order": 10**18 + number,
            "created": "2026-08-01T00:00:00+00:00", "host": host(), "study": "cao2019/quick",
            "variant": "0123abcd", "title": "Long-tailed digits", "paper": "cao2019", "arm": "LDAM-DRW",
            "point": {"corruptions.long_tail.ratio": 100}, "seed": number % 5, "digest": f"{number:012x}",
            "gpus": None, "here": False,
        }  # fmt: skip
        run.submit.write_text(json.dumps(submit))
        run.recipe.write_text('title = "Long-tailed digits"\n')
        if state == "finished":
            run.result.write_text(
                json.dumps({"attempt": 1, "state": state, "metrics": METRICS, "best": {}, "seconds": 12.5})
            )
            run.state.write_text(json.dumps({"format": 1, "state": "ended", "attempt": 1, "how": state}))
        made.append(run)
    return made


def cpu(work: Callable[[], object]) -> float:
    """Return the processor time that some work takes, child processes included, in seconds."""

    def spent() -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.process_time() + children.ru_utime + children.ru_stime

    before = spent()
    work()
    return spent() - before


def change_state(runs: RunsPaths, run: RunPaths) -> None:
    """What the worker does when a run ends: its files, then its row."""
    files.write_json(run.state, {"format": 1, "state": "ended", "attempt": 1, "how": "crashed"})
    index.sync(runs, [run.id])


def list_newest(runs: RunsPaths) -> None:
    """`imbtui ls` in a process of its own."""
    command = [sys.executable, "-m", "imbtui", "ls", "--runs", str(runs.root)]
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)


def figures(count: int, *, state: str = "finished", changes: int = 200) -> dict[str, float]:
    """Return what `count` runs cost, in seconds of processor time unless it says otherwise.

    Keys: `rebuild`, `rebuild_wall`, `change` (mean of `changes`, its share of the next folding of the journal
    included), `change_most`, `fold`, `query`, `ls`, `ls_wall` (least of three), `bytes` of the index.
    """
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        runs = RunsPaths(Path(folder))
        made = make_runs(runs, count, state=state)
        found: dict[str, float] = {}
        begun = time.monotonic()
        found["rebuild"] = cpu(partial(index.rebuild, runs))
        found["rebuild_wall"] = time.monotonic() - begun
        index.query(runs)  # folders that were just made are looked at once more
        each = [cpu(partial(change_state, runs, run)) for run in made[:changes]]
        found["bytes"] = runs.index.stat().st_size
        found["fold"] = cpu(partial(index._fold, runs))
        found["change"] = sum(each) / len(each) + found["fold"] / (index.FOLD_SHARE * count)
        found["change_most"] = max(each)
        index.query(runs)
        found["query"] = min(cpu(partial(index.query, runs)) for _ in range(3))
        for _ in range(3):
            begun = time.monotonic()
            spent = cpu(partial(list_newest, runs))
            found["ls"] = min(spent, found.get("ls", spent))
            wall = time.monotonic() - begun
            found["ls_wall"] = min(wall, found.get("ls_wall", wall))
    return found


def main(count: int) -> None:
    for state in ("finished", "queued"):
        found = figures(count, state=state)
        print(
            f"{count} {state} runs, {found['bytes'] / 1e6:.1f} MB index\n"
            f"  written anew      {found['rebuild']:.2f} s processor, {found['rebuild_wall']:.2f} s\n"
            f"  one state change  {1e3 * found['change']:.1f} ms processor, "
            f"most {1e3 * found['change_most']:.1f} ms, now and then {1e3 * found['fold']:.0f} ms\n"
            f"  query             {1e3 * found['query']:.0f} ms processor\n"
            f"  imbtui ls         {found['ls']:.2f} s processor, {found['ls_wall']:.2f} s",
            flush=True,
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
