"""Figures for a paper, drawn by matplotlib from plain data: curves with bands, and one point an arm."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imbtui import files
from imbtui.errors import UserError
from imbtui.files import printable
from imbtui.plotting.braille import Series
from imbtui.report.spread import Spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMATS = ("svg", "png", "pdf")
_STYLE = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "legend.fontsize": "small",
    # Text stays text, so that a figure can be searched and edited.
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
}
_DASHES = ("-", "--", "-.", ":")
_COLOURS = 10  # in matplotlib's cycle
_BESIDE = 6  # more entries than this stand beside the axes


@dataclass(frozen=True)
class Point:
    """One arm, or an arm at a grid point, in a figure of points.

    Attributes:
        label: what stands under it.
        spread: over seeds.
        reported: the paper's number; None: it gives none.
    """

    label: str
    spread: Spread
    reported: float | None = None


def draw_curves(curves: Sequence[Series], metric: str, axis: str, path: Path, *, log: bool = False) -> None:
    """Draw lines over training, each with the band it has, into a file.

    Args:
        curves: one line each; those with `low` and `high` get a band.
        metric: named at the vertical axis.
        axis: `epoch` or `step`.
        path: its ending says the format, one of `FORMATS`.
        log: logarithmic values.

    Raises:
        UserError: matplotlib is not installed, or the file cannot be written.
    """
    with _axes(path) as axes:
        for place, curve in enumerate(curves):
            style = _DASHES[place // _COLOURS % len(_DASHES)]
            (line,) = axes.plot(curve.x, curve.y, style, label=_plain(curve.label))
            if curve.low:
                axes.fill_between(
                    curve.x, curve.low, curve.high, color=line.get_color(), alpha=0.15, linewidth=0
                )
        axes.set_xlabel(axis)
        axes.set_ylabel(named(metric))
        if log:
            axes.set_yscale("log")
        axes.margins(x=0)
        _legend(axes, len(curves))


def draw_points(points: Sequence[Point], metric: str, path: Path, *, log: bool = False) -> None:
    """Draw mean ± one standard deviation over seeds, every seed, and the paper's number, for each label.

    Args, Raises: see `draw_curves`.
    """
    with _axes(path, rows=len(points)) as axes:
        rows = range(len(points))
        for row, point in zip(rows, points, strict=True):
            values = list(point.spread.values.values())
            seeds = axes.plot(values, [row] * len(values), "|", color="0.6", markersize=9, markeredgewidth=1)
            measured = axes.errorbar(
                point.spread.mean, row, xerr=point.spread.sd, fmt="o", color="C0", markersize=5, capsize=3
            )
            seeds[0].set_label("a seed")
            measured.set_label("mean ± sd")
            if point.reported is not None:
                axes.plot(point.reported, row, "D", color="C1", markersize=5, label="reported")
        axes.set_yticks(list(rows), [_plain(point.label) for point in points])
        axes.set_ylim(len(points) - 0.5, -0.5)
        axes.set_xlabel(named(metric))
        axes.grid(visible=False, axis="y")
        if log:
            axes.set_xscale("log")
        handles, labels = axes.get_legend_handles_labels()
        once = dict(zip(labels, handles, strict=True))
        axes.legend(
            once.values(), once.keys(), loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(once)
        )


def named(metric: str) -> str:
    """Return a metric for an axis: `test/balanced_accuracy` is the `balanced accuracy (test)`."""
    split, _, name = metric.rpartition("/")
    return _plain(f"{name} ({split})" if split else name).replace("_", " ")


@contextmanager
def _axes(path: Path, *, rows: int = 0) -> Iterator[Axes]:
    """Give empty axes, and write what was drawn on them; `rows` of points make a figure as high."""
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError(
            "drawing a file needs matplotlib", where="-o", hint="Install it with: pip install 'imbtui[plots]'"
        ) from None
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(6.4, 1.3 + 0.32 * rows if rows else 4.0), layout="constrained")
        yield figure.add_subplot()
        buffer = io.BytesIO()
        figure.savefig(buffer, format=path.suffix.lstrip(".").lower(), dpi=200)
    try:
        files.write_atomic(path, buffer.getvalue(), durable=False)
    except OSError as error:
        raise UserError(f"it cannot be written: {error.strerror}", where=str(path)) from None


def _legend(axes: Axes, entries: int) -> None:
    if entries > _BESIDE:
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    elif entries > 1:
        axes.legend()


def _plain(label: str) -> str:
    """Return a label that matplotlib takes literally: a dollar sign would begin mathematics."""
    return printable(label).replace("$", r"\$")
