"""By keyboard alone, in a real terminal of 80 x 24, on real runs."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imbtui import store, worker
from imbtui.errors import UserError
from imbtui.paths import RunsPaths

PATIENCE = 60.0  # seconds; processes start slowly on a busy machine


class Terminal:
    """A program in a terminal of its own, read and typed at through tmux."""

    def __init__(self, command: str, folder: Path, environment: dict[str, str]) -> None:
        self._socket = f"imbtui-test-{os.getpid()}"
        self._tmux("kill-server", check=False)
        given = [part for name, value in environment.items() for part in ("-e", f"{name}={value}")]
        size = ("-x", "80", "-y", "24")
        self._tmux("-f", "/dev/null", "new-session", "-d", *size, *given, "-c", str(folder), command)

    def again(self) -> None:
        """Start the program once more, in the same terminal."""
        self._tmux("respawn-pane", "-k")

    def _tmux(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            ["tmux", "-L", self._socket, *arguments], capture_output=True, text=True, check=check, timeout=30
        )
        return done.stdout

    def screen(self) -> str:
        return self._tmux("capture-pane", "-p")

    def press(self, *keys: str) -> None:
        for key in keys:
            self._tmux("send-keys", key)

    def type(self, text: str) -> None:
        self._tmux("send-keys", "-l", text)

    def wait(self, condition: Callable[[str], Any]) -> str:
        """Wait until the screen satisfies a condition, and return it."""
        deadline = time.monotonic() + PATIENCE
        while not condition(screen := self.screen()):
            assert time.monotonic() < deadline, f"not reached:\n{screen}"
            time.sleep(0.05)
        return screen

    def close(self) -> None:
        self._tmux("kill-server", check=False)


@pytest.fixture
def mnist(tmp_path: Path) -> Path:
    """A data root with a little MNIST: 130 training and 10 test images a class."""
    raw = tmp_path / "data" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    random = np.random.default_rng(0)
    for split, each in (("train", 130), ("t10k", 10)):
        labels = np.tile(np.arange(10, dtype=np.uint8), each)
        images = random.integers(0, 60, (len(labels), 28, 28), dtype=np.uint8)
        images[np.arange(len(labels)), 2 * labels] = 255  # a white line tells the class
        for kind, head, array in (
            ("images-idx3", struct.pack(">IIII", 0x803, len(labels), 28, 28), images),
            ("labels-idx1", struct.pack(">II", 0x801, len(labels)), labels),
        ):
            (raw / f"{split}-{kind}-ubyte.gz").write_bytes(gzip.compress(head + array.tobytes(), 1))
    return tmp_path / "data"


@pytest.fixture
def terminal(tmp_path: Path, runs: RunsPaths, mnist: Path) -> Iterator[Terminal]:
    """The dashboard in a terminal; afterwards nothing that it started is left."""
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    command = f"{sys.executable} -m imbtui --runs {runs.root}; echo left with $?; cat"
    opened = Terminal(
        command, tmp_path, {"IMBTUI_DATA": str(mnist), "OMP_NUM_THREADS": "1", "TERM": "screen-256color"}
    )
    yield opened
    opened.close()
    deadline = time.monotonic() + PATIENCE
    while active := [i for i in store.list_ids(runs) if store.read(runs.run(i)).state in store.ACTIVE]:
        assert time.monotonic() < deadline, f"{active} would not stop"
        for run_id in active:
            try:
                worker.request_stop(runs, run_id)
            except UserError:  # it ended in between
                continue
        time.sleep(0.2)
    worker.stop_worker(runs)


def test_five_knobs_each_change_a_run_and_quitting_leaves_the_runs_alone(
    terminal: Terminal, runs: RunsPaths
) -> None:
    terminal.wait(lambda screen: "No runs here yet" in screen)
    terminal.press("n")
    terminal.wait(lambda screen: "quickstart " in screen)
    terminal.type("quickstart")
    terminal.press("Enter")
    terminal.wait(lambda screen: "9 runs: 3 arms" in screen)

    for text in ("focal", "mnist", "20", "0.1"):
        terminal.type(text)
        terminal.press("Enter")
    terminal.press("Down")  # the kind of noise stays
    for text in ("1", "7", "cpu"):  # pruning rounds, seeds, devices
        terminal.type(text)
        terminal.press("Enter")
    screen = terminal.wait(lambda screen: "3 arms × 1 seed" in screen)
    for line in ("Loss             ● focal", "Data set         ● mnist", "Imbalance ratio  ● 20"):
        assert line in screen
    for line in ("Noise rate       ● 0.1", "Pruning rounds   ● 1", "Devices          ● cpu"):
        assert line in screen

    terminal.press("C-l")
    screen = terminal.wait(lambda screen: "bal.acc" in screen and "LDAM-DRW" in screen)
    assert "queued" in screen or "running" in screen
    terminal.press("q")
    terminal.wait(lambda screen: "left with 0" in screen)

    views = [store.read(runs.run(run_id)) for run_id in store.list_ids(runs)]
    assert {view.arm for view in views} == {"CE", "DRW", "LDAM-DRW"}
    for view in views:
        members = {m["name"]: m for m in [*view.recipe["corruptions"], *view.recipe["methods"]]}
        assert view.recipe["loss"]["name"] == "focal"
        assert view.recipe["dataset"]["name"] == "mnist"
        assert members["long_tail"]["ratio"] == 20
        assert members["label_noise"]["rate"] == 0.1
        assert members["lottery"]["rounds"] == 1
        assert view.seed == 7 and view.submit["gpus"] == "cpu"

    # The dashboard is closed, and a run trains.
    deadline = time.monotonic() + PATIENCE
    while not any(view.last_row for view in views):
        assert time.monotonic() < deadline, [view.state for view in views]
        time.sleep(0.1)
        views = [store.read(runs.run(view.id)) for view in views]
    assert {view.state for view in views} <= {"queued", "running", "finished"}


ENDLESS = """
title = "two endless runs"
seeds = [0, 1]
[dataset]
name = "digits"
protocol = "long_tail"
[model]
name = "mlp"
hidden = [16]
[train]
epochs = 1000000
evaluate_every = 5
threads = 1
"""


def epoch_shown(screen: str) -> int:
    found = re.search(r"epoch (\d+) of 1000000", screen)
    return int(found[1]) if found else -1


def test_runs_outlive_the_screen_and_are_watched_stopped_and_compared(
    tmp_path: Path, runs: RunsPaths, terminal: Terminal
) -> None:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "endless.toml").write_text(ENDLESS)
    terminal.wait(lambda screen: "No runs here yet" in screen)
    terminal.press("n")
    terminal.wait(lambda screen: "quickstart " in screen)
    terminal.type("endless")
    terminal.wait(lambda screen: "two endless runs" in screen)
    terminal.press("Enter")
    terminal.wait(lambda screen: "2 runs: " in screen or "2 runs;" in screen)
    terminal.press("C-l")
    terminal.wait(lambda screen: "2 running" in screen and "bal.acc" in screen)

    # Its curve moves.
    terminal.type("/seed == 0")
    terminal.press("Enter")
    terminal.wait(lambda screen: "1 of 2 runs" in screen)
    terminal.press("Enter")
    before = terminal.wait(lambda screen: epoch_shown(screen) > 0 and "1 Curves" in screen)
    terminal.wait(lambda screen: epoch_shown(screen) > epoch_shown(before) + 10)
    terminal.press("Escape")
    terminal.wait(lambda screen: "1 of 2 runs" in screen)
    terminal.press("q")
    terminal.wait(lambda screen: "left with 0" in screen)

    # The dashboard is as it was left; the other run is stopped.
    terminal.again()
    screen = terminal.wait(lambda screen: "1 of 2 runs" in screen and epoch_shown(screen) > 0)
    assert "seed == 0" in screen and epoch_shown(screen) > epoch_shown(before)
    terminal.press("/", "C-u")
    terminal.type("seed == 1")
    terminal.press("Enter", "X")
    terminal.wait(lambda screen: "Stop" in screen and "seed 1?" in screen)
    terminal.press("y")
    terminal.wait(lambda screen: re.search(r"stopped +\S+ +\S+ +1 ", screen))
    states = {view.seed: view.state for view in (store.read(runs.run(i)) for i in store.list_ids(runs))}
    assert states == {0: "running", 1: "stopped"}

    terminal.press("Escape", "g", "Space", "Space", "c")
    terminal.wait(lambda screen: " Compare" in screen and "test/balanced accuracy" in screen)
    terminal.press("v")  # by themselves, not as seeds of one study
    terminal.wait(lambda screen: "seed 0" in screen and "seed 1" in screen)
