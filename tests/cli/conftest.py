"""Calling commands as a user does: arguments in; exit code, stdout and stderr out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from imbtui import doctor, files, index
from imbtui.cli.app import main
from imbtui.paths import RunPaths, RunsPaths


@dataclass(frozen=True)
class Answer:
    """What a command line said."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


Call = Callable[..., Answer]


@pytest.fixture(autouse=True)
def _no_question_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the doctor's tests the seconds that importing torch takes in a process of its own."""
    monkeypatch.setattr(doctor, "_torch", lambda: doctor.Check("torch", True, "not asked"))


@pytest.fixture
def call(runs: RunsPaths, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Run a command line in this process, with an empty runs folder in `IMBTUI_RUNS`."""
    monkeypatch.setenv("IMBTUI_RUNS", str(runs.root))
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments: str) -> Answer:
        capfd.readouterr()
        code = main(arguments)
        said = capfd.readouterr()
        return Answer(code, said.out, said.err)

    return run


METRICS = {
    "test/accuracy": 0.8,
    "test/balanced_accuracy": 0.7,
    "test/few_accuracy": 0.4,
    "test/loss": 0.9,
    "train/accuracy": 1.0,
    "test/class_accuracy": [0.9, 0.5],
}


def _finish(
    run: RunPaths, *, state: str = "finished", reason: str = "", metrics: dict[str, Any] | None = None
) -> None:
    last = METRICS | (metrics or {})
    rows = [
        {
            "stage": "train",
            "step": 10 * e,
            "epoch": e,
            "time": 0.1 * e,
            "test/accuracy": last["test/accuracy"] * e / 3,
        }
        for e in range(4)
    ]
    rows[-1] |= last
    run.metrics.write_text("".join(json.dumps(row) + "\n" for row in rows))
    files.write_json(
        run.result,
        {
            "attempt": 1,
            "state": state,
            "reason": reason,
            "metrics": last,
            "best": {**last, "selected_on": "val/balanced_accuracy", "epoch": 2},
            "seconds": 1.5,
            "steps": 30,
            "epochs": 3,
            "fit_epoch": None,
        },
    )


@pytest.fixture
def finish() -> Callable[..., None]:
    """Give a run the result and the curve that a trainer would have left, whatever its state was."""
    return _finish


@pytest.fixture
def done(runs: RunsPaths, make_runs: Callable[..., list[RunPaths]]) -> list[RunPaths]:
    """Two arms x two seeds that have finished, the second arm the better one."""
    made = make_runs(toml=TWO_ARMS, name="two")
    for place, run in enumerate(made):
        _finish(run, metrics={"test/balanced_accuracy": 0.5 + 0.1 * (place // 2) + 0.01 * (place % 2)})
    index.sync(runs)
    return made


TWO_ARMS = """
title = "two arms"
seeds = [0, 1]
[dataset]
name = "digits"
protocol = "long_tail"
[[corruptions]]
name = "long_tail"
ratio = 100
n_max = 120
[model]
name = "mlp"
hidden = [16]
[optimizer]
lr = 0.05
[train]
epochs = 2
batch_size = 64
threads = 1
[[arms]]
label = "CE"
[[arms]]
label = "LDAM"
set = { "loss.name" = "ldam", "model.head" = "cosine" }
[[claims]]
says = "LDAM above CE"
kind = "order"
metric = "test/balanced_accuracy"
arm = "LDAM"
above = "CE"
[[reported]]
where = { arm = "LDAM" }
metric = "test/balanced_accuracy"
value = 0.66
source = "nowhere"
confidence = "memory"
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe file of two arms and two seeds, trained in a moment."""
    path = tmp_path / "two.toml"
    path.write_text(TWO_ARMS)
    return path
