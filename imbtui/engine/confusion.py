"""The confusion matrices of the newest evaluation, kept as an artefact that a reader may draw."""

from __future__ import annotations

import time
from collections.abc import Mapping

import orjson
from torch import Tensor

from imbtui.engine.log import row_position
from imbtui.engine.tick import Tick

FILE = "confusion.json"
SECONDS_BETWEEN_WRITES = 2.0
MOST_CLASSES = 256  # a quarter of a megabyte; what has more is no picture either


class ConfusionLog:
    """Remembers the newest matrices and says when they are worth writing; only rank 0 has one."""

    def __init__(self) -> None:
        self._newest: tuple[Tick, Mapping[str, Tensor]] | None = None
        self._wrote = float("-inf")

    def take(self, t: Tick, matrices: Mapping[str, Tensor]) -> bytes | None:
        """Remember an evaluation; return the file's content when it is time to replace it.

        Too many classes make no picture, and a regression task has none.

        Args:
            t: the step evaluated after.
            matrices: (C, C) by split, rows true and columns predicted classes.
        """
        if any(not 0 < len(matrix) <= MOST_CLASSES for matrix in matrices.values()):
            return None
        self._newest = (t, matrices)
        return self.rest() if time.monotonic() - self._wrote >= SECONDS_BETWEEN_WRITES else None

    def rest(self) -> bytes | None:
        """Return the content for what has not been written yet; None when everything has."""
        if self._newest is None:
            return None
        t, matrices = self._newest
        self._newest, self._wrote = None, time.monotonic()
        step, epoch = row_position(t)
        return orjson.dumps(
            {
                "stage": t.stage,
                "step": step,
                "epoch": epoch,
                "rows": "true class",
                "columns": "predicted class",
                "matrices": {split: matrix.tolist() for split, matrix in matrices.items()},
            }
        )
