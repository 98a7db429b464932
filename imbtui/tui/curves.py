"""The metrics of one run as columns of numbers that grow, fit for drawing."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from imbtui import shapes

FIRST_FAMILIES = (
    "balanced_accuracy",
    "loss",
    "accuracy",
    "few_accuracy",
    "medium_accuracy",
    "many_accuracy",
    "nll",
    "ece",
)
SPLITS = ("test", "train", "val", "running")
_POSITION = ("stage", "step", "epoch", "time")


def _floats() -> array[float]:
    return array("d")


@dataclass
class Line:
    """One metric over time. Stages follow one another: steps, epochs and seconds go on counting."""

    steps: array[float] = field(default_factory=_floats)
    epochs: array[float] = field(default_factory=_floats)
    times: array[float] = field(default_factory=_floats)
    values: array[float] = field(default_factory=_floats)

    def extend(self, other: Line) -> None:
        """Append another line's points."""
        self.steps.extend(other.steps)
        self.epochs.extend(other.epochs)
        self.times.extend(other.times)
        self.values.extend(other.values)


@dataclass
class Curves:
    """All metrics of a run, or those that are new of it.

    Attributes:
        lines: numbers by full name; values that are not finite are left out.
        lists: the newest list of each list-valued metric, such as `test/class_accuracy`.
        matrices: the newest matrix of each metric that is one, row by row.
        last: the newest value of each metric, also where it is not finite.
        row: position keys of the newest row.
        began: those of the first row of its stage, where that is among the rows read last.
        bad: lines that were no rows.
    """

    lines: dict[str, Line] = field(default_factory=dict)
    lists: dict[str, list[Any]] = field(default_factory=dict)
    matrices: dict[str, list[list[float | None]]] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)
    row: dict[str, Any] = field(default_factory=dict)
    began: dict[str, Any] = field(default_factory=dict)
    bad: int = 0

    def extend(self, other: Curves) -> None:
        """Take over what is new."""
        for name, line in other.lines.items():
            self.lines.setdefault(name, Line()).extend(line)
        self.lists |= other.lists
        self.matrices |= other.matrices
        self.last |= other.last
        self.row = other.row or self.row
        self.began = other.began or self.began
        self.bad += other.bad

    def families(self) -> dict[str, list[str]]:
        """Return metric names by what they measure: the same metric of several splits is one family."""
        found: dict[str, list[str]] = {}
        for name in self.lines:
            found.setdefault(family(name), []).append(name)
        for names in found.values():
            names.sort(key=_split_order)
        order = {name: position for position, name in enumerate(FIRST_FAMILIES)}
        return dict(sorted(found.items(), key=lambda item: (order.get(item[0], 99), item[0])))


def family(name: str) -> str:
    """Return what a metric measures: `loss` for `test/loss`, the whole name of a probe's value."""
    split, slash, rest = name.partition("/")
    return rest if slash and split in SPLITS else name


def _split_order(name: str) -> tuple[int, str]:
    split = name.partition("/")[0]
    return (SPLITS.index(split) if split in SPLITS else 99, name)


def _entry(value: Any) -> float | None:
    return value if shapes.number(value) else None


class Reader:
    """Turns lines of metrics.jsonl into curves, remembering where the stage before ended."""

    def __init__(self) -> None:
        self._stage: str | None = None
        self._before = (0.0, 0.0)
        self._reached = (0.0, 0.0)

    def read(self, lines: Iterable[bytes]) -> Curves:
        """Return what the lines add. A line that is no row is counted and skipped."""
        new = Curves()
        for row in self._rows(lines, new):
            step, epoch = self._place(row)
            seconds = row.get("time", 0.0)
            for name, value in row.items():
                if name in _POSITION:
                    continue
                if isinstance(value, list):
                    if value and all(isinstance(part, list) for part in value):
                        new.matrices[name] = [[_entry(entry) for entry in part] for part in value]
                    else:
                        new.lists[name] = [_entry(part) for part in value]
                elif isinstance(value, int | float):
                    new.last[name] = value
                    if math.isfinite(value):
                        line = new.lines.get(name)
                        if line is None:
                            line = new.lines[name] = Line()
                        line.steps.append(step)
                        line.epochs.append(epoch)
                        line.times.append(seconds)
                        line.values.append(value)
                elif value is None:
                    new.last[name] = math.nan
        return new

    def _rows(self, lines: Iterable[bytes], new: Curves) -> Iterator[dict[str, Any]]:
        from imbtui.metrics import parse_row  # not before the first frame

        for line in lines:
            if not line:
                continue
            row = parse_row(line)
            if row is None:
                new.bad += 1
                continue
            new.row = {key: row[key] for key in _POSITION if key in row}
            if row.get("stage") != self._stage or self._stage is None:
                new.began = new.row
            yield row

    def _place(self, row: dict[str, Any]) -> tuple[float, float]:
        stage = row.get("stage")
        if stage != self._stage:
            self._stage = stage
            self._before = self._reached
        step = self._before[0] + row["step"]
        epoch = self._before[1] + row.get("epoch", 0.0)
        self._reached = (max(step, self._reached[0]), max(epoch, self._reached[1]))
        return step, epoch
