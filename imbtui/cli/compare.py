"""`imbtui compare`: what differs between runs, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from imbtui.cli import options, output
from imbtui.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from imbtui.paths import RunsPaths
    from imbtui.report.compare import Line
    from imbtui.report.groups import Comparison, Group

EXAMPLES = (
    "imbtui compare @last @~1",
    "imbtui compare 1 2 3 4 5 6 --over-seeds",
    "imbtui compare --study quickstart -m test/few_accuracy",
)


def command(
    run: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN...]",
            help="Ids, starts of ids, rows of the last listing, @last or @~1.",
            autocompletion=options.runs_like,
            show_default=False,
        ),
    ] = None,
    study: Annotated[
        str | None, typer.Option("--study", metavar="STUDY", help="Compare a study's arms over seeds.")
    ] = None,
    seeds: Annotated[
        bool, typer.Option("--over-seeds", help="Runs that differ only in the seed count as one.")
    ] = False,
    metric: Annotated[
        str | None,
        typer.Option("--metric", "-m", metavar="METRIC", help="Whose differences are tested, seed by seed."),
    ] = None,
    runs: options.Runs = None,
    json: options.Json = False,
) -> None:
    """Compare runs: recipe keys that differ, metrics side by side.

    Over seeds: mean ± sd of each arm, and its difference from the first one with a paired t test.
    """
    from imbtui import store
    from imbtui.report import compare

    paths = options.runs_paths(runs)
    if bool(run) == (study is not None):
        raise UserError("name runs, or a study with --study", where="compare")
    views = [store.resolve(paths, reference) for reference in run or ()]
    if study is not None or seeds:
        from imbtui.report.groups import over_seeds

        _compare_groups(over_seeds(views) if study is None else _arms(paths, study), metric, json=json)
        return
    found = compare(views)
    if json:
        output.document(found.to_json())
        return
    numbers = [str(place) for place in range(1, len(views) + 1)]
    output.table(
        [
            output.Column("", numbers, right=True),
            output.Column("id", [view.id for view in views]),
            output.Column("state", [output.state(view.state) for view in views]),
            output.Column("arm", [view.arm or "-" for view in views], 1),
            output.Column("seed", [str(view.seed) for view in views], 2, right=True),
            output.Column("study", [view.study or "-" for view in views], 3),
        ]
    )
    _print("recipe keys that differ", found.recipe, numbers)
    _print("last metrics", found.metrics, numbers)
    _print("metrics at the best validation epoch", found.best, numbers)


def _arms(paths: RunsPaths, study: str) -> list[Group]:
    from imbtui.cli import studies
    from imbtui.report.groups import of_study
    from imbtui.report.studies import newest, views_of

    record = newest(studies.find(paths, study))
    return of_study(record, views_of(paths, [record], warn=output.say))


def _compare_groups(groups: Sequence[Group], metric: str | None, *, json: bool) -> None:
    from imbtui.report.compare import Line
    from imbtui.report.groups import compare_groups

    found = compare_groups(groups)
    if metric is not None and metric not in found.metrics:
        hint = did_you_mean(metric, list(found.metrics))
        raise UserError(f'no finished run has "{metric}"', where="-m", hint=hint)
    chosen = metric or next(iter(found.metrics), "")
    if json:
        output.document(found.to_json(chosen))
        return
    numbers = [str(place) for place in range(1, len(groups) + 1)]
    output.table(
        [
            output.Column("", numbers, right=True),
            output.Column("group", [group.label for group in groups], shrink=True),
            output.Column("runs", [group.size_text for group in groups], right=True),
        ]
    )
    _print("recipe keys that differ", found.recipe, numbers)
    texts = [
        Line(name, tuple(None if spread is None else spread.text() for spread in spreads))
        for name, spreads in found.metrics.items()
    ]
    _print("last metrics, mean ± sd over seeds", texts, numbers)
    if chosen and len(groups) > 1:
        _print_differences(found, chosen)


def _print_differences(found: Comparison, metric: str) -> None:
    others = range(1, len(found.groups))
    differences = [found.difference(metric, place, 0) for place in others]
    output.line()
    output.heading(f"{metric}: difference from {found.groups[0].label}, seed by seed")
    output.table(
        [
            output.Column("", [str(place + 1) for place in others], right=True),
            output.Column("group", [found.groups[place].label for place in others], shrink=True),
            output.Column("difference", [d.mean_text() for d in differences], right=True),
            output.Column("95 % interval", [d.interval_text() for d in differences]),
            output.Column("p", [d.p_text() for d in differences]),
            output.Column("seeds", [str(d.n) for d in differences], right=True),
        ]
    )
    output.line("paired t tests, two-sided, not corrected for each other")


def _print(title: str, lines: Sequence[Line], numbers: Sequence[str]) -> None:
    """Print keys by runs; runs that do not fit beside each other stand below, in blocks."""
    if not lines:
        return
    output.line()
    output.heading(title)
    keys = output.Column("", [line.key for line in lines])
    values = [
        output.Column(number, [_shown(line, place) for line in lines], right=True)
        for place, number in enumerate(numbers)
    ]
    width = output.console().width
    block: list[output.Column] = []
    for column in values:
        if block and output.width_of([keys, *block, column]) > width:
            output.table([keys, *block], everything=True)
            output.line()
            block = []
        block.append(column)
    output.table([keys, *block], everything=True)


def _shown(line: Line, place: int) -> str:
    from imbtui.text import shown

    value = line.values[place]
    return "-" if value is None else shown(value, line.key)
