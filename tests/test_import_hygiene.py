"""What starting up imports, and what it costs: typing a command must not wait for torch."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

HEAVY = {"torch", "torchvision", "accelerate", "scipy", "sklearn", "pandas", "matplotlib"}
HEAVIER_THAN_HELP = {"textual", "pydantic", "tinydb", "tomlkit", "rich.live", "rich.markdown"}
TIMES_TYPER = 4.0


def imported(*arguments: str) -> set[str]:
    """Return the modules that a command line imports, by what Python reports of itself."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "imbtui", *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}


def of(modules: set[str], names: set[str]) -> set[str]:
    return {m for m in modules if m in names or m.partition(".")[0] in names}


def test_help_imports_next_to_nothing() -> None:
    assert of(imported("--help"), HEAVY | HEAVIER_THAN_HELP) == set()


@pytest.mark.parametrize(
    "command",
    [
        "ls --help",
        "ls",
        "recipes",
        "run quickstart --dry-run",
        "papers",
        "verdict",
        "queue",
        "worker status",
        "data ls",
    ],
)
def test_commands_that_train_nothing_import_nothing_heavy(command: str, tmp_path: os.PathLike[str]) -> None:
    arguments = command.split()
    if "--help" not in arguments:
        arguments += ["--runs", os.fspath(tmp_path)]
    assert of(imported(*arguments), HEAVY | {"textual"}) == set()


def test_the_dashboard_imports_nothing_heavy() -> None:
    code = "import sys, imbtui.tui.app; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert of(set(done.stdout.split()), HEAVY) == set()


def test_help_costs_little_more_than_typer() -> None:
    """Processor time, interleaved: on a busy machine the clock on the wall measures the others."""

    def seconds(*arguments: str) -> float:
        before = os.times()
        subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    for arguments in (("-c", "import typer"), ("-m", "imbtui", "--help")):
        seconds(*arguments)  # the files are in memory from now on
    typer, ours = [], []
    for _ in range(7):
        typer.append(seconds("-c", "import typer"))
        ours.append(seconds("-m", "imbtui", "--help"))
    assert min(ours) <= TIMES_TYPER * min(typer)
