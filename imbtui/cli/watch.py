"""What is seen of runs that others train: state, newest metrics, speed."""

from __future__ import annotations

import time
from typing import Any

from imbtui import files, metrics, store
from imbtui.paths import RunPaths
from imbtui.worker import states

LOOK_AGAIN = 5.0  # seconds after which a queued run is read anew although none of its files changed
REAPED_WITHIN = 10.0  # seconds in which a worker says why a run crashed, or starts it again


class Watched:
    """One run, followed until it has ended.

    Attributes:
        view: the run as last read.
        latest: newest value of each metric.
        stage, epoch: of the newest row; the stage is empty before the first.
        share: share of the stage that is done, in [0, 1].
        left: seconds until the stage's end; None: unknown.
    """

    def __init__(self, run: RunPaths) -> None:
        self.path = run
        self.view = store.read(run)
        self.latest: dict[str, Any] = {}
        self.stage = ""
        self.epoch: float = 0
        self.share = 0.0
        self.left: float | None = None
        self._tail = files.Tail(run.metrics)
        self._steps = 0
        self._per_epoch = 0
        self._stage_began: tuple[int, float] = (0, 0.0)
        self._stamps: Any = None
        self._looked = float("-inf")
        self._down_since: float | None = None

    @property
    def id(self) -> str:
        return self.view.id

    @property
    def epochs(self) -> int:
        """Epochs of a stage; 0: unknown."""
        return -(-self._steps // self._per_epoch) if self._steps and self._per_epoch else 0

    def ended(self) -> bool:
        """Whether the run has ended for good: a crashed one only when its worker is done with it."""
        if self.view.state in store.ACTIVE:
            self._down_since = None
            return False
        if self.view.state != "crashed":
            return True
        state = states.read(self.path, self.view.attempt)
        if state is not None and state.get("state") == "ended":
            return True
        if self._down_since is None:
            self._down_since = time.monotonic()
        return time.monotonic() - self._down_since > REAPED_WITHIN

    def poll(self) -> bool:
        """Look again; return whether the state changed."""
        before = self.view.state
        stamps = self._read_stamps()
        due = time.monotonic() - self._looked > LOOK_AGAIN
        # Whether a process lives shows in no file.
        if before != "queued" or stamps != self._stamps or due:
            self.view = store.read(self.path)
            self._stamps, self._looked = stamps, time.monotonic()
        if before == "running" or self.view.state == "running":
            self._read_metrics()
        return self.view.state != before

    def _read_stamps(self) -> Any:
        found = []
        for path in (self.path.submit, self.path.state, self.path.result, self.path.ranks):
            try:
                status = path.stat()
            except OSError:
                found.append((0, 0))
            else:
                found.append((status.st_ino, status.st_mtime_ns))
        return found

    def _read_metrics(self) -> None:
        if not self._steps:
            self._steps = int(self.view.env.get("steps") or 0)
            self._per_epoch = int(self.view.env.get("steps_per_epoch") or 0)
        rows = [row for row in map(metrics.parse_row, self._tail.read()) if row is not None]
        if self._tail.restarted:
            self.stage = ""
        for row in rows:
            moment = float(row.get("time") or 0.0)
            if row.get("stage") != self.stage:
                self.stage = str(row.get("stage", ""))
                self._stage_began = (row["step"], moment)
            self.latest |= row
            self.epoch = row.get("epoch") or 0
            if self._steps:
                self.share = min(1.0, row["step"] / self._steps)
                done, took = row["step"] - self._stage_began[0], moment - self._stage_began[1]
                self.left = (self._steps - row["step"]) * took / done if done > 0 else None

    @property
    def loss(self) -> float | None:
        return self.latest.get("running/loss", self.latest.get("train/loss"))

    @property
    def balanced_accuracy(self) -> float | None:
        return self.latest.get("test/balanced_accuracy")

    def progress(self) -> str:
        """Return how far it has come, in one phrase: `epoch 36/80, loss 0.512, balanced accuracy 0.71`."""
        from imbtui import text

        stage = f"{files.printable(self.stage)}: " if self.stage not in ("", "train") else ""
        parts = [f"epoch {self.epoch:.0f}" + (f"/{self.epochs}" if self.epochs else "")]
        if self.loss is not None:
            parts.append(f"loss {text.number(self.loss, 3)}")
        if self.balanced_accuracy is not None:
            parts.append(f"balanced accuracy {text.number(self.balanced_accuracy, 3)}")
        if self.left is not None:
            parts.append(f"{text.duration(self.left)} left")
        return stage + ", ".join(parts)
