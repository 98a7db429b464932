"""From a run's metrics to the lines of a chart."""

from __future__ import annotations

from collections.abc import Sequence

from imbtui.files import printable
from imbtui.plotting.braille import Series
from imbtui.tui.curves import SPLITS, Curves, family


def of_family(curves: Curves, names: Sequence[str], *, axis: str = "epochs") -> list[Series]:
    """Return a line for each metric of a family; a split has the same pattern in every chart.

    Args:
        names: metrics of one family.
        axis: `epochs` or `steps`.
    """
    return [
        Series(_label(name), getattr(curves.lines[name], axis), curves.lines[name].values, _pattern(name))
        for name in names
        if name in curves.lines
    ]


def _label(name: str) -> str:
    return printable(name) if family(name) == name else name.partition("/")[0]


def _pattern(name: str) -> int:
    split = name.partition("/")[0]
    return SPLITS.index(split) if split in SPLITS else 0
