"""`imbtui plot`: a metric's curves, in the terminal or in a file."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imbtui.cli import options, output
from imbtui.errors import UserError, did_you_mean
from imbtui.files import printable

if TYPE_CHECKING:
    from imbtui.plotting.braille import Series

EXAMPLES = (
    "imbtui plot @last @~1 -m test/balanced_accuracy",
    "imbtui plot 1 2 -m train/loss --log -o loss.svg",
)
FORMATS = ("svg", "png", "pdf")
HEIGHT = 20


def command(
    run: options.ManyRuns,
    metric: Annotated[
        str, typer.Option("--metric", "-m", metavar="METRIC", help="E.g. test/accuracy, running/loss.")
    ] = "test/balanced_accuracy",
    out: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="An .svg, .png or .pdf to write.")
    ] = None,
    stage: Annotated[
        str | None, typer.Option("--stage", metavar="NAME", help="Only this stage of the runs.")
    ] = None,
    steps: Annotated[bool, typer.Option("--steps", help="Count steps instead of epochs.")] = False,
    log: Annotated[bool, typer.Option("--log", help="Logarithmic values.")] = False,
    runs: options.Runs = None,
    json: options.Json = False,
) -> None:
    """Plot a metric of runs over training."""
    from imbtui import store

    paths = options.runs_paths(runs)
    views = [store.resolve(paths, reference) for reference in run]
    if out is not None and out.suffix.lstrip(".").lower() not in FORMATS:
        raise UserError(
            f'"{out.name}" is no picture that can be drawn',
            where="-o",
            hint=f"Its name must end in .{', .'.join(FORMATS)}.",
        )
    labels = [view.id for view in views]
    curves = _curves([view.path.metrics for view in views], labels, metric, stage, steps=steps)
    axis = "step" if steps else "epoch"
    if json:
        output.document(
            [{"id": c.label, "metric": metric, axis: list(c.x), "values": list(c.y)} for c in curves]
        )
    elif out is None:
        _print(curves, metric, axis, log=log)
    else:
        _write(curves, metric, axis, out, log=log)
        output.say(f"{out} written")


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
        sample = braille.SAMPLES[index % len(braille.SAMPLES)]
        last = f"{curve.y[-1]:.4g}" if curve.y else "-"
        output.line(Text(f"{sample} ").append(f"{printable(curve.label)}  {last}"))


def _write(curves: Sequence[Series], metric: str, axis: str, path: Path, *, log: bool) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError(
            "drawing a file needs matplotlib", where="-o", hint="Install it with: pip install 'imbtui[plots]'"
        ) from None
    import io

    from imbtui import files

    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.add_subplot()
    for curve in curves:
        # A dollar sign would begin mathematics.
        axes.plot(curve.x, curve.y, label=printable(curve.label).replace("$", r"\$"))
    axes.set_xlabel(axis)
    axes.set_ylabel(metric)
    if log:
        axes.set_yscale("log")
    axes.legend(fontsize="small")
    buffer = io.BytesIO()
    figure.savefig(buffer, format=path.suffix.lstrip(".").lower(), dpi=150)
    try:
        files.write_atomic(path, buffer.getvalue(), durable=False)
    except OSError as error:
        raise UserError(f"it cannot be written: {error.strerror}", where=str(path)) from None
