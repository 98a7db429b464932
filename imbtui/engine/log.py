"""The metrics of a run: rows of metrics.jsonl, and what of them enters the result."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import torch

from imbtui.engine.tick import Tick
from imbtui.files import LineWriter
from imbtui.metrics import lower_is_better

SECONDS_BETWEEN_ROWS = 0.5
SHARE_BETWEEN_ROWS = 1e-3
"""Of the time a run has taken: rows beside evaluations become rarer, and a long run's file stays small."""


class MetricsLog:
    """Writes rows and remembers last and best values. Only rank 0 has one.

    A run that goes on from a checkpoint cuts the file back to where it stood at that checkpoint, so that
    no step is listed twice. Rows that a plan logs between stages which had finished before are dropped.

    Args:
        path: metrics.jsonl.
        select_on: the metric by which the best epoch is chosen.
    """

    def __init__(self, path: Path, *, select_on: str = "val/balanced_accuracy") -> None:
        self.writer = LineWriter(path)
        self.select_on = select_on
        self.last: dict[str, Any] = {}
        self.best: dict[str, Any] = {}
        self.fit_epoch: float | None = None
        self.steps = 0
        self.epochs: float = 0
        self.seconds_before = 0.0
        self._began = time.monotonic()
        self._wrote = 0.0
        self._replaying: list[bytes] | None = None

    @property
    def seconds(self) -> float:
        """Training time over all attempts, in seconds."""
        return self.seconds_before + time.monotonic() - self._began

    def is_due(self) -> bool:
        """Whether enough time has passed for a row beside those of evaluations.

        The number of these rows grows with the logarithm of time: 7,000 in a day.
        """
        passed = time.monotonic() - self._wrote
        return passed >= SECONDS_BETWEEN_ROWS and passed >= SHARE_BETWEEN_ROWS * self.seconds

    def write(self, stage: str, step: int, epoch: float, values: Mapping[str, Any]) -> None:
        """Append a row.

        Args:
            stage: the stage.
            step: steps done in it.
            epoch: epochs done in it.
            values: by full name, such as `test/accuracy`; tensors are fetched from the device.

        Raises:
            OSError: the disk is full.
        """
        plain = {name: _plain(value) for name, value in values.items()}
        self._remember(stage, step, epoch, plain)
        row = {"stage": stage, "step": step, "epoch": epoch, "time": round(self.seconds, 4), **plain}
        line = orjson.dumps(row)
        if self._replaying is not None:
            self._replaying.append(line)
            return
        self.writer.append(line)
        self._wrote = time.monotonic()

    def _remember(self, stage: str, step: int, epoch: float, values: dict[str, Any]) -> None:
        self.last |= values
        self.steps, self.epochs = step, epoch
        if self.fit_epoch is None and values.get("train/error") == 0:
            self.fit_epoch = epoch
        selected = values.get(self.select_on)
        # Stages are trainings of their own: the best epoch is one of the stage a run ended with.
        elsewhere = self.best.get("stage") != stage
        if selected is not None and (elsewhere or self._better(selected, self.best[self.select_on])):
            position = {"stage": stage, "step": step, "epoch": epoch}
            self.best = {**values, "selected_on": self.select_on, **position}

    def _better(self, value: float, best: float) -> bool:
        return value < best if lower_is_better(self.select_on) else value > best

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps of the log."""
        return {
            "size": self.writer.size(),
            "last": self.last,
            "best": self.best,
            "fit_epoch": self.fit_epoch,
            "seconds": self.seconds,
        }

    def replay(self, state: dict[str, Any]) -> None:
        """Take over the state of a stage that had finished; rows are held back from now on."""
        self._adopt(state)
        self._size = state["size"]
        self._replaying = []

    def go_on(self, state: dict[str, Any] | None = None) -> None:
        """Train on: cut the file back to the checkpoint's `state`, or to the last finished stage."""
        if state is not None:
            self._adopt(state)
            self.writer.truncate(state["size"])
        elif self._replaying is not None:
            self.writer.truncate(self._size)
            for line in self._replaying:
                self.writer.append(line)
        self._replaying = None

    def restart(self) -> None:
        """Forget what an attempt without a checkpoint wrote."""
        self.writer.truncate(0)

    def _adopt(self, state: dict[str, Any]) -> None:
        self.last, self.best = dict(state["last"]), dict(state["best"])
        self.fit_epoch = state["fit_epoch"]
        self.seconds_before = state["seconds"]
        self._began = time.monotonic()


def row_position(t: Tick) -> tuple[int, float]:
    """Return steps and epochs done after the step `t`; epochs are whole at an epoch's end."""
    done = t.step + 1
    epoch = done / t.steps_per_epoch
    return done, int(epoch) if epoch.is_integer() else round(epoch, 4)


def _plain(value: Any) -> Any:
    """Fetch a value from its device; what JSON has no number for (NaN, infinity) becomes null."""
    if isinstance(value, torch.Tensor):
        value = value.tolist()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
