"""What the dashboard costs: `python tests/benchmarks/dashboard.py [RUNS]` (default 10,000; 8 of them live).

| figure | goal |
| --- | --- |
| processor time of a key, of a key in the filter and of one in groups, 95th percentile | <= 16 ms |
| redraw of two curves of 100,000 points | <= 20 ms |
| idle with 8 runs writing | <= 1 % of a core, <= 3 KB/s to the terminal |
| first frame with all runs listed, beside the first frame of an empty Textual app | <= 1.2 x + 0.5 s |
| memory with 300 runs marked, and with 300 overlaid | <= 120 MB |

Keys, rest and memory are those of `imbtui` itself in a terminal of 120 x 40, while the live runs write two
rows a second, as often as a trainer ever does. A key's processor time is that of the whole process until
0.2 s after it: what the key starts later counts, and so does what goes on meanwhile anyway. Those keys that
open a screen or a dialog, or lay the screen out anew, are told apart and have no goal. On a machine that
is busy otherwise the same work takes up to twice the processor time; "a fixed piece of work" says how busy.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from terminal import Terminal

from imbtui import files
from imbtui.paths import RunsPaths, host
from imbtui.processes import Identity

LIVE = 8
SIZE = (120, 40)
WORDS = ("ldam", "loss == ldam", "seed < 3 and drw")
IDLE = 20.0  # seconds
AFTER_KEY = 0.2  # seconds
AWHILE = 1.0  # seconds between such keys as open a screen: meanwhile the next one is made ready
OVERLAID = 300

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


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def fixed_work() -> float:
    """Return the milliseconds of processor time that the same piece of work takes now."""
    before = time.process_time()
    table = {str(number): number for number in range(100_000)}
    sorted(table, key=lambda text: text[::-1])
    return 1000 * (time.process_time() - before)


class Writers:
    """The live runs' metrics, written from a thread."""

    def __init__(self, runs: RunsPaths, count: int) -> None:
        self._files = [
            files.LineWriter(runs.run(f"r{n:05d}-ldam-drw-s{n % 5}").metrics)
            for n in range(count - LIVE, count)
        ]
        self._over = threading.Event()
        threading.Thread(target=self._write, daemon=True).start()

    def _write(self) -> None:
        step = 0
        while not self._over.wait(0.5):
            step += 1
            row: dict[str, Any] = {"stage": "train", "step": 500 * step, "epoch": step / 2, "time": step / 2}
            row |= {"running/loss": 2 / (1 + step / 50) + step % 7 / 50}
            if step % 4 == 0:
                row |= {
                    "test/balanced_accuracy": 0.9 - 0.5 / (1 + step / 40),
                    "test/loss": 1 / (1 + step / 40),
                }
            for file in self._files:
                file.append(json.dumps(row).encode())

    def stop(self) -> None:
        self._over.set()


def dashboard(runs: RunsPaths) -> Terminal:
    """Open the dashboard over a folder and wait until its first screen is complete."""
    terminal = Terminal([sys.executable, "-m", "imbtui", "--runs", str(runs.root)])
    terminal.wait_for("finished")
    time.sleep(3)
    return terminal


def measure_keys(runs: RunsPaths) -> None:
    with dashboard(runs) as terminal:
        before, written, began = terminal.processor_time(), terminal.written, time.monotonic()
        time.sleep(IDLE)
        took = time.monotonic() - began
        _tell("idle, 8 live runs", 100 * (terminal.processor_time() - before) / took, 1, "% of a core")
        _tell("idle, to the terminal", (terminal.written - written) / took / 1000, 3, "KB/s")

        def cost(*keys: str) -> list[float]:
            return [terminal.cost(key, until=AFTER_KEY) for key in keys]

        moves = cost(*["down", "up", "pagedown", "pageup", "end", "home", "space", "s", "S"] * 12)
        _tell("key, p95", percentile(moves, 0.95), 16, "ms")
        cost("home")
        typed: list[float] = []
        for word in WORDS:
            cost("/")
            typed += cost(*word)
            typed += cost(*["backspace"] * len(word))
            cost("escape")
        _tell("key in the filter, p95", percentile(typed, 0.95), 16, "ms")
        cost("v")
        grouped = cost(*["down", "up", "pagedown", "end", "home"] * 8)
        _tell("key while grouped, p95", percentile(grouped, 0.95), 16, "ms")
        cost("v")
        print(f"    {'keys that open or rearrange':<30}" + "".join(_opening(terminal)), flush=True)
        cost("home")
        before = terminal.processor_time()
        for _ in range(60):
            terminal.press("down")
            time.sleep(1 / 30)
        time.sleep(AFTER_KEY)
        _tell("a held key, 30 a second", 1000 * (terminal.processor_time() - before) / 60, 16, "ms")


def _opening(terminal: Terminal) -> Iterator[str]:
    """Say what keys cost that open or rearrange a screen, median of five, each with its way back."""
    for there, back in (
        ("/", "escape"),
        ("v", "v"),
        ("i", "i"),
        ("enter", "escape"),
        ("o", "escape"),
        ("?", "escape"),
    ):
        spent: list[list[float]] = [[], []]
        for _ in range(5):
            for costs, key in zip(spent, (there, back), strict=True):
                costs.append(terminal.cost(key, until=AFTER_KEY))
                time.sleep(AWHILE)
        yield f"  {there} {percentile(spent[0], 0.5):.0f}, back {percentile(spent[1], 0.5):.0f} ms;"


def measure_memory(folder: Path) -> None:
    """Mark 300 runs in the table, then lay their curves over one another."""
    runs = RunsPaths(folder)
    make_runs(runs, OVERLAID + LIVE)
    for number in range(OVERLAID):
        write_metrics(runs.run(f"r{number:05d}-ldam-drw-s{number % 5}").metrics, 100)
    with dashboard(runs) as terminal:
        for _ in range(LIVE):
            terminal.press("down")
            time.sleep(0.02)
        for _ in range(OVERLAID):
            terminal.press("space")
            time.sleep(0.02)
        time.sleep(2)
        _tell("memory, 300 runs marked", terminal.memory(), 120, "MB")
        terminal.press("c")
        terminal.wait_for("Metrics")
        terminal.rest()
        _tell("memory, 300 runs overlaid", terminal.memory(), 120, "MB")


async def measure_curves(runs: RunsPaths) -> None:
    from imbtui.tui.app import ImbtuiApp
    from imbtui.tui.widgets.plot import Plot

    app = ImbtuiApp(runs)
    async with app.run_test(size=SIZE) as pilot:
        while not app.live.listed:
            await asyncio.sleep(0.01)
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
        print(f"    a fixed piece of work: {fixed_work():.0f} ms")
        writers = Writers(runs, count)
        measure_keys(runs)
        writers.stop()
        print(f"    a fixed piece of work: {fixed_work():.0f} ms")
        asyncio.run(measure_curves(runs))
        measure_memory(Path(folder) / "overlaid")


if __name__ == "__main__":
    main()
