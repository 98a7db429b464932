"""`imbtui plot`: a metric's curves, or a study's arms at one point in time, in the terminal or in a file."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imbtui import text
from imbtui.cli import options, output
from imbtui.errors import UserError, did_you_mean
from imbtui.files import printable

if TYPE_CHECKING:
    from imbtui.paths import RunsPaths
    from imbtui.plotting.braille import Series
    from imbtui.report.figure import Point
    from imbtui.report.groups import Group
    from imbtui.report.spread import Spread
    from imbtui.report.studies import Record

EXAMPLES = (
    "imbtui plot @last @~1 -m test/balanced_accuracy",
    "imbtui plot cao2019/quick -m test/few_accuracy -o few.svg",
    "imbtui plot cao2019/quick --arm CE --arm LDAM-DRW --at last -o points.pdf",
)
HEIGHT = 20


def command(
    run: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...|STUDY",
            help="Runs, or one study: its arms, mean and band over seeds.",
            autocompletion=options.runs_like,
            show_default=False,
        ),
    ],
    metric: Annotated[
        str, typer.Option("--metric", "-m", metavar="METRIC", help="E.g. test/accuracy, running/loss.")
    ] = "test/balanced_accuracy",
    out: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="An .svg, .png or .pdf to write.")
    ] = None,
    stage: Annotated[
        str | None, typer.Option("--stage", metavar="NAME", help="Only this stage of the runs.")
    ] = None,
    arm: Annotated[
        list[str] | None, typer.Option("--arm", metavar="LABEL", help="Of a study: only these arms.")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="WHICH", help="Of a study: a point an arm, at last, best, epoch:8 ..."),
    ] = None,
    steps: Annotated[bool, typer.Option("--steps", help="Count steps instead of epochs.")] = False,
    log: Annotated[bool, typer.Option("--log", help="Logarithmic values.")] = False,
    runs: options.Runs = None,
    json: options.Json = False,
) -> None:
    """Plot a metric over training, of runs or of a study's arms; or compare the arms at one point in time."""
    from imbtui import store
    from imbtui.report.figure import FORMATS, draw_curves, draw_points

    if out is not None and out.suffix.lstrip(".").lower() not in FORMATS:
        raise UserError(
            f'"{out.name}" is no picture that can be drawn',
            where="-o",
            hint=f"Its name must end in .{', .'.join(FORMATS)}.",
        )
    paths = options.runs_paths(runs)
    record = _study(paths, run)
    if record is None and (arm or at):
        raise UserError("this goes with a study and not with runs", where="--arm" if arm else "--at")
    if at is not None and record is not None:
        points = _points(paths, record, arm or [], metric, at, stage)
        if json:
            output.document([{"arm": p.label, "metric": metric, **p.spread.to_json()} for p in points])
        elif out is None:
            _print_points(points, metric, at)
        else:
            draw_points(points, metric, out, log=log)
            output.say(f"{out} written")
        return
    if record is not None:
        curves = _bands(paths, record, arm or [], metric, stage, steps=steps)
    else:
        views = [store.resolve(paths, reference) for reference in run]
        labels = [view.id for view in views]
        curves = _curves([view.path.metrics for view in views], labels, metric, stage, steps=steps)
    axis = "step" if steps else "epoch"
    if json:
        name = "id" if record is None else "arm"
        output.document(
            [{name: c.label, "metric": metric, axis: list(c.x), "values": list(c.y)} for c in curves]
        )
    elif out is None:
        _print(curves, metric, axis, log=log)
    else:
        draw_curves(curves, metric, axis, out, log=log)
        output.say(f"{out} written")


def _study(paths: RunsPaths, references: Sequence[str]) -> Record | None:
    """Return the study that is meant, or None where runs are; a run's id comes first."""
    from imbtui import store
    from imbtui.cli import studies
    from imbtui.report.studies import named, newest

    records = store.studies(paths)
    names = {name for record in records for name in (str(record.get("study", "")), named(record))}
    meant = [reference for reference in references if reference in names]
    if not meant or meant[0] in store.list_ids(paths):
        return None
    if len(references) > 1:
        raise UserError("one study is plotted at a time", where=meant[0])
    return newest(studies.find(paths, meant[0]))


def _groups(paths: RunsPaths, record: Record, arms: Sequence[str]) -> list[Group]:
    """Return a study's arms, or those that are asked for, with their runs."""
    from imbtui.report.groups import of_study
    from imbtui.report.studies import views_of

    groups = of_study(record, views_of(paths, [record], warn=output.say))
    known = list(dict.fromkeys(str(member.arm) for group in groups for member in group.members))
    for arm in arms:
        if arm not in known:
            raise UserError(f'there is no arm "{arm}"', where="--arm", hint=did_you_mean(arm, known))
    return [group for group in groups if not arms or group.members[0].arm in arms]


def _bands(
    paths: RunsPaths, record: Record, arms: Sequence[str], metric: str, stage: str | None, *, steps: bool
) -> list[Series]:
    """Return the mean curve of each arm with a band of one standard deviation over its finished runs."""
    from imbtui.plotting.braille import Series
    from imbtui.report.band import mean_band

    found = [
        (group.label, member.finished.path.metrics)
        for group in _groups(paths, record, arms)
        for member in group.members
        if member.finished is not None
    ]
    _require(found, metric)
    labels, files = zip(*found, strict=True)
    by_label: dict[str, list[Series]] = {}
    for curve in _curves(files, labels, metric, stage, steps=steps):
        by_label.setdefault(curve.label, []).append(curve)
    curves = []
    for label, same in by_label.items():
        band = mean_band([(curve.x, curve.y) for curve in same])
        curves.append(Series(label, band.x, band.mean, low=band.low, high=band.high))
    return curves


def _points(
    paths: RunsPaths, record: Record, arms: Sequence[str], metric: str, at: str, stage: str | None
) -> list[Point]:
    """Return each arm's values over seeds at one point in time, with the paper's number."""
    from imbtui import metrics
    from imbtui.metrics import Reader
    from imbtui.report.figure import Point
    from imbtui.report.spread import spread
    from imbtui.report.table import reported_value

    metrics.parse_at(at, where="--at")
    reader = Reader()
    points = []
    for group in _groups(paths, record, arms):
        measured, _ = spread(group.members, metric, at=at, stage=stage, reader=reader)
        if measured is not None:
            paper = reported_value(record.get("reported", ()), metric, group.members)
            points.append(Point(group.label, measured, None if paper is None else paper.value))
    _require(points, metric)
    return points


def _require(found: Sequence[object], metric: str) -> None:
    if not found:
        raise UserError(
            f'no finished run of these arms has "{metric}"',
            where="-m",
            hint="`imbtui ls --study NAME` tells which have finished, `imbtui show RUN` what it measured.",
        )


def _curves(
    files: Sequence[Path], labels: Sequence[str], metric: str, stage: str | None, *, steps: bool
) -> list[Series]:
    from imbtui import metrics
    from imbtui.plotting.braille import Series

    curves = []
    known: set[str] = set()
    for path, label in zip(files, labels, strict=True):
        rows, _ = metrics.read_rows(path)
        known.update(metrics.names(rows))
        stages = metrics.stages(row for row in rows if metric in row)
        if stage is not None and stage not in stages and metric in metrics.names(rows):
            raise UserError(
                f'{label} has no stage "{stage}"', where="--stage", hint=did_you_mean(stage, stages)
            )
        # Stages count their steps anew: one line each.
        for one in [stage] if stage is not None else stages:
            found = metrics.series(rows, metric, one)
            name = label if len(stages) == 1 else f"{label} {one}"
            curves.append(Series(name, found.steps if steps else found.epochs, found.values))
    if not any(curve.y for curve in curves):
        which = "this run has" if len(files) == 1 else "these runs have"
        raise UserError(f'{which} no "{metric}"', where="-m", hint=did_you_mean(metric, sorted(known)))
    return curves


def _print(curves: Sequence[Series], metric: str, axis: str, *, log: bool) -> None:
    from rich.text import Text

    from imbtui.plotting import braille

    size = shutil.get_terminal_size((80, 24))
    height = max(8, min(HEIGHT, size.lines - len(curves) - 2))
    output.heading(metric)
    for row in braille.render(curves, size.columns, height, log_y=log, x_label=axis):
        output.line(row)
    for index, curve in enumerate(curves):
        sample = braille.SAMPLES[braille.pattern_of(index)]
        last = f"{curve.y[-1]:.4g}" if curve.y else "-"
        output.line(Text(f"{sample} ").append(f"{printable(curve.label)}  {last}"))


def _print_points(points: Sequence[Point], metric: str, at: str) -> None:
    """Print a row an arm: mean ± sd, seeds, and where it lies between the smallest and largest value."""
    low = min(min(point.spread.values.values()) for point in points)
    high = max(max(point.spread.values.values()) for point in points)
    output.heading(f"{metric} at {at}")
    output.table(
        [
            output.Column("arm", [point.label for point in points], shrink=True),
            output.Column("mean ± sd", [point.spread.text() for point in points], right=True),
            output.Column("n", [str(point.spread.n) for point in points], right=True),
            output.Column(
                f"{text.number(low, 3)} to {text.number(high, 3)}",
                [_strip(point.spread, low, high) for point in points],
                1,
            ),
        ]
    )


def _strip(spread: Spread, low: float, high: float, width: int = 32) -> str:
    """Return a line of characters with the mean as a dot on the range of one standard deviation."""

    def place(value: float) -> int:
        share = (value - low) / (high - low) if high > low else 0.5
        return round(min(max(share, 0.0), 1.0) * (width - 1))

    mean, sd = spread.mean, spread.sd or 0.0
    left, right = place(mean - sd), place(mean + sd)
    cells = ["─" if left <= cell <= right else " " for cell in range(width)]
    cells[place(mean)] = "●"
    return "".join(cells).rstrip()
