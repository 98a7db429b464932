"""The dashboard beside its peers in the same terminal: `python tests/benchmarks/peers.py [--runs 100 1000]`.

`wandb leet` and `terminalboard` are measured where `--leet` and `--terminalboard` name the virtual
environments that they live in:

    python -m venv leet && leet/bin/pip install wandb==0.31.0
    python -m venv board && board/bin/pip install terminalboard==0.5.3 'plotext<6' tensorboardX
    python tests/benchmarks/peers.py --leet leet --terminalboard board

Each gets as many runs with the same numbers in them, written by its own logger: 100 steps of a loss and an
accuracy. The programs take turns; what is told is the median of all turns (and the least).

| figure | is |
| --- | --- |
| first chart | seconds from the start of the program until a curve is on the screen |
| settled | ... until the screen stays as it is |
| processor | seconds of processor time until the first chart, of all its processes |
| memory | peak of each of its processes, summed, after all keys, in MB |
| key | ms from a key until the selection has moved |
| chart | ms from a key until the curve of another run is on the screen |
| open | ms from Enter until the selected run's (terminalboard: the selected metric's) own screen shows it |
| idle | share of a core, and bytes to the terminal a second, while nothing happens |

All are seen from outside, through a tmux client in control mode: it is told of every byte the moment the
program writes it, and looks at the screen then.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import select
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

STEPS = 100
CURVE = 20  # braille characters that make a curve: a spinner has one
QUIET = 1.0  # seconds without a change after which a screen has settled
PATIENCE = 60.0
IDLE = 10.0
TICKS = os.sysconf("SC_CLK_TCK")

NUMBERS = """
import math, random
def numbers(run, steps):
    draw = random.Random(run)
    tau = 15 + run % 37
    for step in range(steps):
        yield step, math.exp(-step / tau) + 0.1 * draw.random(), 0.9 * (1 - math.exp(-step / tau))
"""
RECIPE = """
title = "Long-tailed digits"
seeds = {seeds}
[dataset]
name = "digits"
protocol = "long_tail"
[[corruptions]]
name = "long_tail"
ratio = 100
n_max = 120
[model]
name = "mlp"
[train]
epochs = 100
[grid]
"corruptions.long_tail.ratio" = [10, 50, 100]
"optimizer.lr" = [0.05, 0.1]
[[arms]]
label = "CE"
[[arms]]
label = "LDAM"
[arms.set]
"loss.name" = "ldam"
"""
LEET = """
import sys, wandb
for run in range(int(sys.argv[1])):
    config = dict(loss=("ce", "ldam")[run % 2], ratio=(10, 50, 100)[run % 3], seed=run, lr=0.1)
    logger = wandb.init(project="peers", name=f"run{run}", config=config)
    for step, loss, accuracy in numbers(run, int(sys.argv[2])):
        logger.log({"test/loss": loss, "test/accuracy": accuracy})
    logger.finish()
"""
TERMINALBOARD = """
import sys
from tensorboardX import SummaryWriter
for run in range(int(sys.argv[1])):
    writer = SummaryWriter(f"logs/run{run}")
    for step, loss, accuracy in numbers(run, int(sys.argv[2])):
        writer.add_scalar("test/loss", loss, step)
        writer.add_scalar("test/accuracy", accuracy, step)
    writer.close()
"""


@dataclass(frozen=True)
class Program:
    """A program to measure.

    Attributes:
        write: writes a number of runs into a folder.
        command: its command line over that folder.
        environment: what it is started with.
        before: is called before each start: the program shall not remember the visit before.
        move: the key that moves the selection.
        cursor: the mark of the selected line; empty: the selection shows in colours alone.
        chart: the key that shows the selected run's curve; empty: `move` does; None: all runs are shown.
        unchart: keys that take the curve of the run before away and leave the selection where it is.
    """

    name: str
    write: Callable[[Path, int], None]
    command: Callable[[Path], Sequence[str]]
    environment: Callable[[Path], Mapping[str, str]]
    before: Callable[[Path, bool], None]
    move: str
    cursor: str = ""
    chart: str | None = ""
    unchart: tuple[str, ...] = ()


class Terminal:
    """A pane of a tmux server of its own, and a client in control mode that reads it."""

    _opened = itertools.count()

    def __init__(self, width: int, height: int) -> None:
        name = f"imbtui-peers-{os.getpid()}-{next(self._opened)}"  # the server before may not have ended yet
        self._tmux = ["tmux", "-L", name, "-f", "/dev/null"]
        size = ["-x", str(width), "-y", str(height)]
        # Programs believe these rather than the terminal.
        surroundings = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
        start = [*self._tmux, "new-session", "-d", *size, "sleep infinity"]
        subprocess.run(start, check=True, env=surroundings)
        subprocess.run([*self._tmux, "set", "-g", "default-terminal", "tmux-256color"], check=True)
        subprocess.run([*self._tmux, "set", "-g", "remain-on-exit", "on"], check=True)
        self._client = subprocess.Popen(
            [*self._tmux, "-C", "attach", "-f", "ignore-size"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._process = 0
        self._rest = b""
        self._replies: list[list[str]] = []
        self._reply: list[str] | None = None
        self.written = 0
        self.screen = ""
        self._ask("refresh-client")

    def start(self, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> int:
        """Start a program in the pane and return the id of its process."""
        # As installed: no program compiles its files at every start.
        settings = {"PYTHONDONTWRITEBYTECODE": "", **environment}
        given = [part for name, value in settings.items() for part in ("-e", f"{name}={value}")]
        line = ["respawn-pane", "-k", "-c", str(folder), *given, "exec " + shlex.join(command)]
        self._ask(shlex.join(line))
        self._process = int(self._ask("display-message -p '#{pane_pid}'")[0])
        return self._process

    def press(self, *keys: str) -> None:
        self._ask(shlex.join(["send-keys", *keys]))

    def wait(self, condition: Callable[[str], bool], *, patience: float = PATIENCE) -> float | None:
        """Wait until the screen satisfies a condition, and return when it did; None when it never does."""
        deadline = time.perf_counter() + patience
        while True:
            seen = time.perf_counter()
            self.look()
            if condition(self.screen):
                return seen
            left = deadline - time.perf_counter()
            if left <= 0 or not self._read(left):
                return None

    def settle(self, *, quiet: float = QUIET, patience: float = PATIENCE) -> float:
        """Wait until the screen has stayed the same for some time, and return when it changed last."""
        changed, deadline = time.perf_counter(), time.perf_counter() + patience
        before = self.screen
        while time.perf_counter() < min(changed + quiet, deadline):
            self._read(changed + quiet - time.perf_counter())
            self.look()
            if self.screen != before:
                before, changed = self.screen, time.perf_counter()
        return changed

    def look(self) -> str:
        """Return the screen as it is now."""
        self.screen = "\n".join(self._ask("capture-pane -pe"))
        return self.screen

    def listen(self, seconds: float) -> int:
        """Return how many bytes the program writes within some time."""
        before, deadline = self.written, time.perf_counter() + seconds
        while (left := deadline - time.perf_counter()) > 0:
            self._read(left)
        return self.written - before

    def close(self) -> None:
        """End the program, and wait until it has ended: it may write down how it was left."""
        subprocess.run([*self._tmux, "kill-server"], check=False)
        self._client.wait(10)
        deadline = time.perf_counter() + 10
        while self._process and Path(f"/proc/{self._process}").exists() and time.perf_counter() < deadline:
            time.sleep(0.02)

    def _ask(self, command: str) -> list[str]:
        assert self._client.stdin is not None
        self._replies.clear()
        self._client.stdin.write(command.encode() + b"\n")
        self._client.stdin.flush()
        while not self._replies:
            if not self._read(10):
                raise TimeoutError(f"tmux does not answer: {command}")
        return self._replies.pop()

    def _read(self, seconds: float) -> bool:
        """Take what tmux says within some time, and return whether it said anything."""
        assert self._client.stdout is not None
        stream = self._client.stdout.fileno()
        if not select.select([stream], [], [], max(0.0, seconds))[0]:
            return False
        *lines, self._rest = (self._rest + os.read(stream, 1 << 16)).split(b"\n")
        for line in lines:
            if line.startswith(b"%output "):
                said = line.split(b" ", 2)[2]
                self.written += len(said) - 3 * len(re.findall(rb"\\[0-7]{3}", said))
            elif line.startswith(b"%begin "):
                self._reply = []
            elif line.startswith((b"%end ", b"%error ")):
                # The first reply is to the client's own command line; it answers no question.
                if self._reply is not None and line.rsplit(b" ", 1)[1] == b"1":
                    self._replies.append(self._reply)
                self._reply = None
            elif self._reply is not None:
                self._reply.append(line.decode("utf-8", "replace"))
        return True


def curve(screen: str) -> str:
    """Return what of a screen is drawn in braille: its curves."""
    return "\n".join("".join(re.findall("[\u2801-\u28ff]", line)) for line in screen.splitlines())


def has_curve(screen: str) -> bool:
    return len(curve(screen).replace("\n", "")) >= CURVE


def selection(screen: str, mark: str) -> object:
    """Return what tells which line is selected."""
    return [number for number, line in enumerate(screen.splitlines()) if mark in line] if mark else screen


def family(process: int) -> list[int]:
    """Return a process and all that come from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(entry.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(entry.parent.name))
    found = [process]
    for one in found:
        found += children.get(one, [])
    return found


def processor(process: int) -> float:
    """Return the seconds of processor time of a process and its family, ended children included."""
    spent = 0
    for one in family(process):
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        spent += sum(int(ticks) for ticks in fields[11:15])
    return spent / TICKS


def peak(process: int) -> float:
    """Return the peaks of resident memory of a process and its family, summed, in MB."""
    kilobytes = 0
    for one in family(process):
        try:
            status = Path(f"/proc/{one}/status").read_text()
        except OSError:
            continue
        if match := re.search(r"VmHWM:\s+(\d+)", status):
            kilobytes += int(match[1])
    return kilobytes / 1024


@dataclass
class Figures:
    """What was measured of a program, turn after turn."""

    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, value: float | None) -> None:
        if value is not None:
            self.values.setdefault(name, []).append(value)

    def cell(self, name: str, digits: int, share: float = 0.5) -> str:
        known = sorted(self.values.get(name, ()))
        if not known:
            return "–"
        shown = (
            statistics.median(known) if share == 0.5 else known[min(len(known) - 1, int(share * len(known)))]
        )
        return f"{shown:.{digits}f} ({known[0]:.{digits}f})" if share == 0.5 else f"{shown:.{digits}f}"


def measure(
    program: Program, folder: Path, terminal: Terminal, keys: int, figures: Figures, small: bool
) -> None:
    """Start a program once, look for its first chart, press keys, leave it alone, end it."""
    program.before(folder, small)
    began = time.perf_counter()
    process = terminal.start(program.command(folder), program.environment(folder), folder)
    first = terminal.wait(has_curve)
    figures.add("processor", processor(process))
    if first is None:
        print(
            f"{program.name}: no chart within {PATIENCE:.0f} s; the screen says\n{terminal.screen}",
            flush=True,
        )
        return
    figures.add("first chart", first - began)
    figures.add("settled", terminal.settle() - began)
    figures.add("memory at first", peak(process))

    if not keys:
        return

    def answer(name: str, key: str, of: Callable[[str], object], *, drawn: bool = False) -> None:
        """Press a key and add how many milliseconds pass until something on the screen differs."""
        terminal.settle(quiet=0.3)
        before = of(terminal.look())
        now = time.perf_counter()
        terminal.press(key)
        seen = terminal.wait(lambda s: of(s) != before and (has_curve(s) or not drawn), patience=5)
        figures.add(name, None if seen is None else 1000 * (seen - now))

    spent = processor(process)
    for _ in range(keys):
        answer("key", program.move, partial(selection, mark=program.cursor))
    figures.add("processor a key", 1000 * (processor(process) - spent) / keys)
    for _ in range(keys if program.chart is not None else 0):
        if program.chart:
            terminal.press(program.move)
        answer("chart", program.chart or program.move, curve, drawn=True)
        for key in program.unchart:
            terminal.press(key)
            terminal.settle(quiet=0.2)
    for _ in range(-(-keys // 2)):
        if program.chart:  # so that the opened run is not the one on the screen
            terminal.press(program.move)
        answer("open", "Enter", curve, drawn=True)
        terminal.press("Escape")
        terminal.settle(quiet=0.5)
    terminal.settle(quiet=2.0)
    spent = processor(process)
    figures.add("idle bytes", terminal.listen(IDLE) / IDLE)
    figures.add("idle", 100 * (processor(process) - spent) / IDLE)
    figures.add("memory", peak(process))


# The programs


def write_ours(folder: Path, count: int) -> None:
    """Write run folders as submitter, trainer and worker leave them."""
    from imbtui import files, folders, index
    from imbtui.paths import RunsPaths
    from imbtui.recipe import load_study

    namespace: dict[str, Any] = {}
    exec(NUMBERS, namespace)
    runs = RunsPaths(folder / "runs")
    folders.ensure_folder(runs)
    recipe = folder / "long-tailed-digits.toml"
    recipe.write_text(RECIPE.format(seeds=list(range(-(-count // 12)))))
    study = load_study(recipe, ())
    folders.record_study(runs, study)
    for number, planned in enumerate(study.runs[:count]):
        run = runs.run(folders.create(runs, planned, study=study, gpus="cpu", here=False))
        files.write_json(run.env, {"device": "cpu", "steps": STEPS, "steps_per_epoch": 1}, durable=False)
        writer = files.LineWriter(run.metrics)
        metrics: dict[str, float] = {}
        for step, loss, accuracy in namespace["numbers"](number, STEPS):
            metrics = {"test/loss": loss, "test/accuracy": accuracy}
            row = {"stage": "train", "step": step + 1, "epoch": step + 1, "time": step / 10, **metrics}
            writer.append(json.dumps(row).encode())
        writer.close()
        result = {
            "attempt": 1,
            "state": "finished",
            "reason": "",
            "metrics": metrics,
            "best": {},
            "seconds": 10.0,
        }
        files.write_json(run.result, result, durable=False)
    time.sleep(2.1)  # then the index trusts the folders' time stamps
    index.rebuild(runs)


def remember_ours(folder: Path, small: bool) -> None:
    """On a small terminal the preview is shown to whoever has once pressed i."""
    from imbtui.paths import RunsPaths
    from imbtui.tui import view_state

    view_state.save(RunsPaths(folder / "runs"), view_state.ViewState(preview=True if small else None))


def in_environment(root: Path, script: str) -> Callable[[Path, int], None]:
    """Return what writes runs with a program of a virtual environment."""

    def write(folder: Path, count: int) -> None:
        subprocess.run(
            [str(root / "bin" / "python"), "-c", NUMBERS + script, str(count), str(STEPS)],
            cwd=folder,
            env={
                **clean_environment(),
                **leet_environment(folder),
                "WANDB_MODE": "offline",
                "WANDB_SILENT": "true",
            },
            check=True,
            stdout=subprocess.DEVNULL,
        )

    return write


def clean_environment() -> dict[str, str]:
    """Return this process's environment without what points Python at this checkout."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def leet_environment(folder: Path) -> dict[str, str]:
    places = {f"WANDB_{name}_DIR": str(folder / name.lower()) for name in ("CONFIG", "CACHE", "DATA")}
    return {**places, "WANDB_DIR": str(folder), "WANDB_ERROR_REPORTING": "false"}


def forget(name: str) -> Callable[[Path, bool], None]:
    """Return what removes a folder in which a program remembers how it was left."""
    return lambda folder, small: shutil.rmtree(folder / name, ignore_errors=True)


def programs(leet: Path | None, terminalboard: Path | None) -> list[Program]:
    """Return what can be measured here."""
    found = [
        Program(
            "imbtui",
            write_ours,
            lambda folder: (str(Path(sys.executable).with_name("imbtui")), "--runs", str(folder / "runs")),
            lambda folder: {},
            remember_ours,
            move="Down",
            cursor="▌",
        )
    ]
    if leet is not None:
        found.append(
            Program(
                "wandb leet",
                in_environment(leet, LEET),
                lambda folder: (str(leet / "bin" / "wandb"), "leet", str(folder / "wandb")),
                leet_environment,
                forget("config"),
                move="Down",
                chart="Space",
                unchart=("Up", "Space", "Down"),
            )
        )
    if terminalboard is not None:
        found.append(
            Program(
                "terminalboard",
                in_environment(terminalboard, TERMINALBOARD),
                lambda folder: (
                    str(terminalboard / "bin" / "terminalboard"),
                    "--reset-view",
                    str(folder / "logs"),
                ),
                lambda folder: {"HOME": str(folder / "home")},
                lambda folder, small: (folder / "home").mkdir(exist_ok=True),
                move="Right",
                chart=None,
            )
        )
    return found


def table(measured: Mapping[str, Figures]) -> str:
    """Return the figures of all programs side by side, in Markdown: median (least)."""
    rows: list[tuple[str, Callable[[Figures], str]]] = [
        ("first chart, s", lambda f: f.cell("first chart", 2)),
        ("settled, s", lambda f: f.cell("settled", 2)),
        ("processor to the first chart, s", lambda f: f.cell("processor", 2)),
        ("memory at the first chart, MB", lambda f: f.cell("memory at first", 0)),
        ("memory after all keys, MB", lambda f: f.cell("memory", 0)),
        ("key moves the selection, ms", lambda f: f.cell("key", 1)),
        ("... 95th percentile", lambda f: f.cell("key", 1, 0.95)),
        ("... processor time, ms", lambda f: f.cell("processor a key", 1)),
        ("key shows another run's chart, ms", lambda f: f.cell("chart", 1)),
        ("... 95th percentile", lambda f: f.cell("chart", 1, 0.95)),
        ("Enter opens it, ms", lambda f: f.cell("open", 1)),
        ("idle, % of a core", lambda f: f.cell("idle", 1)),
        ("idle, bytes/s to the terminal", lambda f: f.cell("idle bytes", 0)),
    ]
    lines = [f"| median (least) | {' | '.join(measured)} |", "| --- |" + " --- |" * len(measured)]
    lines += [f"| {title} | {' | '.join(cell(f) for f in measured.values())} |" for title, cell in rows]
    return "\n".join(lines)


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return int(width), int(height)


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--runs", type=int, nargs="+", default=[100, 300, 1000])
    ask.add_argument("--sizes", type=_size, nargs="+", default=[(160, 45)], metavar="WIDTHxHEIGHT")
    ask.add_argument("--leet", type=Path, metavar="VENV", help="virtual environment with wandb")
    ask.add_argument(
        "--terminalboard", type=Path, metavar="VENV", help="... with terminalboard, tensorboardX"
    )
    ask.add_argument("--turns", type=int, default=5, help="starts of each program")
    ask.add_argument("--keys", type=int, default=8, help="keys of each kind a start")
    ask.add_argument("--folder", type=Path, help="keep the runs here, and take those that are there")
    ask.add_argument("--json", type=Path, metavar="FILE", help="write every single figure there")
    asked = ask.parse_args()
    if shutil.which("tmux") is None:
        sys.exit("tmux is needed")
    for name, program, venv in (
        ("--leet", "wandb leet", asked.leet),
        ("--terminalboard", "terminalboard", asked.terminalboard),
    ):
        if venv is None:
            print(f"{program} is left out: {name} names no virtual environment with it")
        elif not (venv / "bin" / program.split()[0]).exists():
            sys.exit(f"{name}: there is no {venv / 'bin' / program.split()[0]}")
    known = programs(*(v and v.absolute() for v in (asked.leet, asked.terminalboard)))
    everything = []
    with tempfile.TemporaryDirectory() as temporary:
        root = (asked.folder or Path(temporary)).absolute()
        for count in asked.runs:
            for program in known:
                folder = root / f"{program.name.replace(' ', '-')}-{count}"
                if not (folder / "complete").exists():
                    shutil.rmtree(folder, ignore_errors=True)
                    folder.mkdir(parents=True)
                    print(f"writing {count} runs for {program.name} ...", file=sys.stderr, flush=True)
                    program.write(folder, count)
                    (folder / "complete").touch()
            for width, height in asked.sizes:
                measured = {program.name: Figures() for program in known}
                loads = []
                for turn in range(asked.turns):
                    for place in range(len(known)):
                        program = known[(turn + place) % len(known)]
                        loads.append(os.getloadavg()[0])
                        terminal = Terminal(width, height)
                        try:
                            folder = root / f"{program.name.replace(' ', '-')}-{count}"
                            measure(
                                program,
                                folder,
                                terminal,
                                asked.keys,
                                measured[program.name],
                                small=width < 132,
                            )
                        finally:
                            terminal.close()
                load = f"load {min(loads):.1f}-{max(loads):.1f}"
                print(f"\n{count} runs, {width}x{height}, {asked.turns} turns, {load}\n")
                print(table(measured), flush=True)
                values = {name: figures.values for name, figures in measured.items()}
                everything.append({"runs": count, "size": [width, height], "loads": loads, "figures": values})
    if asked.json:
        asked.json.write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()
