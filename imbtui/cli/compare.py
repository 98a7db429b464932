"""`imbtui compare`: what differs between runs, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from imbtui.cli import options, output

if TYPE_CHECKING:
    from imbtui.report.compare import Line

EXAMPLES = ("imbtui compare @last @~1", "imbtui compare 1 2 3 --json")


def command(run: options.ManyRuns, runs: options.Runs = None, json: options.Json = False) -> None:
    """Compare runs: recipe keys that differ, metrics side by side."""
    from imbtui import store
    from imbtui.report import compare

    paths = options.runs_paths(runs)
    views = [store.resolve(paths, reference) for reference in run]
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
    from imbtui.cli.records import shown

    value = line.values[place]
    return "-" if value is None else shown(value, line.key)
