"""From a run's metrics to the lines of a chart."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from imbtui.plotting.braille import Series
from imbtui.tui.curves import SPLITS, Curves, Line, family

AXES = ("epochs", "steps", "times")
SMOOTHINGS = (0.0, 0.3, 0.6, 0.8, 0.9, 0.95, 0.98, 0.99)
"""Weights of the mean so far; the first is none."""

_UNITS = ((1.0, "seconds", 180.0), (60.0, "minutes", 3 * 3600.0), (3600.0, "hours", float("inf")))


class Smoother:
    """Exponential means of lines that grow; each point is computed once."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, float], tuple[Line, array[float], float, float]] = {}

    def smooth(self, line: Line, weight: float) -> Sequence[float]:
        """Return a line's values, each replaced by the mean of those up to it with weights that fade.

        Args:
            weight: of the mean so far, in [0, 1); 0: the values themselves.
        """
        if not weight:
            return line.values
        key = (id(line), weight)
        of, means, total, norm = self._known.get(key, (line, array("d"), 0.0, 0.0))
        if of is not line or len(means) > len(line.values):
            means, total, norm = array("d"), 0.0, 0.0
        for value in line.values[len(means) :]:
            total = weight * total + (1 - weight) * value
            norm = weight * norm + 1 - weight  # so that the first values do not count as if others were 0
            means.append(total / norm)
        self._known[key] = (line, means, total, norm)
        return means


def of_family(
    curves: Curves,
    names: Sequence[str],
    *,
    axis: str = "epochs",
    split: str = "",
    weight: float = 0.0,
    smoother: Smoother | None = None,
    seconds: float = 1.0,
) -> list[Series]:
    """Return a line for each metric of a family; a split has the same pattern in every chart.

    Args:
        names: metrics of one family.
        axis: one of `AXES`.
        split: only this one, where the family has it; empty: all.
        weight: see `Smoother.smooth`.
        smoother: remembers; needed with a weight.
        seconds: how many make a unit of the axis `times`.
    """
    shown = [name for name in names if name in curves.lines]
    chosen = [name for name in shown if name.partition("/")[0] == split]
    series: list[Series] = []
    for name in chosen or shown:
        line = curves.lines[name]
        x: Sequence[float] = getattr(line, axis)
        if axis == "times" and seconds != 1:
            x = array("d", (moment / seconds for moment in x))
        y = smoother.smooth(line, weight) if smoother else line.values
        series.append(Series(_label(name), x, y, _pattern(name, len(series))))
    return series


def time_unit(curves: Curves) -> tuple[float, str]:
    """Return how many seconds make the unit that a run's time is best told in, and its name."""
    last = max((line.times[-1] for line in curves.lines.values() if line.times), default=0.0)
    return next((size, name) for size, name, below in _UNITS if last < below)


def _label(name: str) -> str:
    return name if family(name) == name else name.partition("/")[0]


def _pattern(name: str, position: int) -> int:
    """Return a split's own pattern; what is of no split has one by its position among the lines."""
    split = name.partition("/")[0]
    return SPLITS.index(split) if split in SPLITS else position
