"""What the dashboard costs: `python tests/benchmarks/dashboard.py [RUNS]` (default 10,000; 8 of them live).

| figure | goal |
| --- | --- |
| processor time of a key, and of a key in the filter, 95th percentile | <= 16 ms |
| redraw of two curves of 100,000 points | <= 20 ms |
| idle with 8 runs writing | <= 1 % of a core |
| first frame with all runs listed, beside the first frame of an empty Textual app | <= 1.2 x + 0.5 s |
| memory with 300 runs looked at | <= 120 MB |

Processor time is that of the whole process, the poller's thread included, without a terminal.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from imbtui import files
from imbtui.paths import RunsPaths, host
from imbtui.processes import Identity

LIVE = 8
SIZE = (120, 40)
WORDS = ("ldam", "loss == ldam", "seed < 3 and drw")

BARE = """
import sys, time
from textual.app import App
from textual.widgets import Static
class Bare(App):
    def compose(self): yield Static("x")
    def on_mount(self): self.call_after_refresh(self.exit)
"""
OURS = """
import sys, time
from pathlib import Path
from imbtui.paths import RunsPaths
from imbtui.tui.app import ImbtuiApp
class Bare(ImbtuiApp):
    def __init__(self): super().__init__(RunsPaths(Path(sys.argv[1])))
    def on_runs_changed(self, message):
        super().on_runs_changed(message)
        self.call_after_refresh(self.exit)
"""
RUN = """
import asyncio
async def main():
    app = Bare()
    async with app.run_test(size=(120, 40)) as pilot:
        while app.is_running and app._exit is False: await asyncio.sleep(0.005)
asyncio.run(main())
"""


def make_runs(runs: RunsPaths, count: int) -> None:
    """Write run folders: the newest `LIVE` run in this process, the others have finished."""
    for number in range(count):
        live = number >= count - LIVE
        run = runs.run(f"r{number:05d}-ldam-drw-s{number % 5}")
        run.ranks.mkdir(parents=True)
        study, arm = f"study-{number // 50}", ("CE", "DRW", "LDAM-DRW")[number % 3]
        submit = {
            "format": 1, "attempt": 1, "priority": 0, "order": 10**18 + number, "seed": number % 5,
            "created": "2026-08-01T00:00:00+00:00", "host": host(), "study": study, "variant": "0123abcd",
            "title": "Long-tailed digits", "paper": "cao2019", "arm": arm, "point": {},
            "digest": f"{number:012x}", "gpus": "cpu", "here": False,
            "knobs": {
                "loss.name": ("cross_entropy", "ldam")[number % 2], "dataset.name": "digits",
                "corruptions.long_tail.ratio": 100, "model.name": "mlp", "train.epochs": 80,
            },
        }  # fmt: skip
        run.submit.write_text(json.dumps(submit))
        if live:
            me = Identity.mine().to_json()
            stamp = {"format": 1, "attempt": 1, "launch": "x", "at": "2026-08-01T00:00:00+00:00"}
            run.state.write_text(json.dumps({**stamp, "state": "running", "gpus": [], **me}))
            run.rank(0).write_text(json.dumps({**stamp, "rank": 0, **me}))
            run.env.write_text(json.dumps({"device": "cpu", "steps": 10**6, "steps_per_epoch": 1000}))
        else:
            accuracy = 0.5 + 0.4 * (number * 7919 % 1000) / 1000
            metrics = {"test/balanced_accuracy": accuracy, "test/accuracy": accuracy, "train/loss": 0.1}
            result = {"attempt": 1, "state": "finished", "metrics": metrics, "best": {}, "seconds": 12.5}
            run.result.write_text(json.dumps(result))


def write_metrics(path: Path, rows: int, *, first: int = 0) -> None:
    """Append rows of two metrics."""
    with path.open("a") as file:
        for step in range(first + 1, first + rows + 1):
            row = {"stage": "train", "step": step, "epoch": step / 1000, "time": step / 100}
            row |= {"test/loss": 2 / (1 + step / 5000) + step % 7 / 50, "train/loss": 2 / (1 + step / 4000)}
            file.write(json.dumps(row) + "\n")


def first_frame(script: str, *arguments: str) -> tuple[float, float]:
    """Return processor and wall time until an app has drawn its first frame, least of five."""
    least = [float("inf"), float("inf")]
    for _ in range(5):
        began, before = time.perf_counter(), os.times()
        subprocess.run([sys.executable, "-c", script + RUN, *arguments], check=True)
        after = os.times()
        spent = after.children_user + after.children_system - before.children_user - before.children_system
        least = [min(least[0], spent), min(least[1], time.perf_counter() - began)]
    return least[0], least[1]


def resident() -> float:
    """Return the memory of this process in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


async def measure(runs: RunsPaths, count: int) -> None:
    from imbtui.tui.app import ImbtuiApp
    from imbtui.tui.widgets.plot import Plot

    app = ImbtuiApp(runs)
    async with app.run_test(size=SIZE) as pilot:
        while not app.live.listed:
            await asyncio.sleep(0.01)
        await pilot.pause(1)

        async def cost(*keys: str) -> list[float]:
            """Processor time of each key, with all that follows from it until nothing is left to do."""
            spent = []
            for key in keys:
                await pilot.pause()
                before = time.process_time()
                app.simulate_key(key)
                await pilot.pause()
                spent.append(1000 * (time.process_time() - before))
            return spent

        moves = await cost(*["down", "up", "pagedown", "pageup", "end", "home", "space", "s", "S"] * 12)
        await cost("home")
        _tell("key, p95", percentile(moves, 0.95), 16, "ms")
        typed: list[float] = []
        for word in WORDS:
            await cost("slash")
            typed += await cost(*[{" ": "space"}.get(c, c) for c in word])
            typed += await cost(*["backspace"] * len(word))
            await cost("escape")
        _tell("key in the filter, p95", percentile(typed, 0.95), 16, "ms")
        await cost("v")
        grouped = await cost(*["down", "up", "pagedown", "end", "home"] * 8)
        _tell("key while grouped, p95", percentile(grouped, 0.95), 16, "ms")
        await cost("v")

        writers = [
            files.LineWriter(runs.run(f"r{n:05d}-ldam-drw-s{n % 5}").metrics)
            for n in range(count - LIVE, count)
        ]
        before, began, step = time.process_time(), time.monotonic(), 0
        writing = 0.0
        while time.monotonic() - began < 15:
            step += 1
            now = time.process_time()
            for writer in writers:
                row = {"stage": "train", "step": 500 * step, "epoch": step / 2, "time": float(step)}
                writer.append(json.dumps(row | {"test/balanced_accuracy": 0.5}).encode())
            writing += time.process_time() - now
            await asyncio.sleep(1)
        idle = (time.process_time() - before - writing) / (time.monotonic() - began)
        _tell("idle, 8 live runs", 100 * idle, 1, "% of a core")

        run = runs.run("r00000-ldam-drw-s0")
        write_metrics(run.metrics, 100_000)
        app.open_run(run.id)
        while run.id not in app.live.complete:
            await pilot.pause(0.05)
        await pilot.pause(0.5)
        plot: Any = app.screen.query(Plot).first()
        spent = []
        for _ in range(20):
            plot._chart = None
            before = time.process_time()
            plot.render_line(0)
            spent.append(1000 * (time.process_time() - before))
        _tell("two curves of 100,000 points", percentile(spent, 0.5), 20, "ms")
        await pilot.press("escape")

        for number in range(300):
            other = runs.run(f"r{number:05d}-ldam-drw-s{number % 5}")
            if number:
                write_metrics(other.metrics, 100)
            app.open_run(other.id)
            while other.id not in app.live.complete:
                await pilot.pause(0.01)
            await pilot.press("escape")
        _tell("memory, 300 runs looked at", resident(), 120, "MB")


def _tell(what: str, value: float, goal: float, unit: str) -> None:
    print(
        f"{what:<34}{value:8.2f} {unit:<12} goal {goal:g}  {'ok' if value <= goal else 'MISSED'}", flush=True
    )


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as folder:
        runs = RunsPaths(Path(folder) / "runs")
        make_runs(runs, count)
        from imbtui import index

        index.rebuild(runs)
        time.sleep(2.1)
        index.query(runs)
        bare, ours = first_frame(BARE), first_frame(OURS, str(runs.root))
        _tell(f"first frame, {count} runs", ours[1], 1.2 * bare[1] + 0.5, "s wall")
        print(
            f"    processor time {ours[0]:.2f} s; an empty Textual app {bare[0]:.2f} s, {bare[1]:.2f} s wall"
        )
        asyncio.run(measure(runs, count))


if __name__ == "__main__":
    main()
