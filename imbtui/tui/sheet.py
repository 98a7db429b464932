"""Numbers that are shown, as CSV to take elsewhere."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from imbtui.tui.curves import Curves


def csv_text(heading: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table as CSV; None is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heading)
    writer.writerows(rows)
    return text.getvalue()


def of_curves(curves: Curves, names: Sequence[str]) -> str:
    """Return metrics of a run: a row a point, a column a metric."""
    table: dict[tuple[float, float], dict[str, float]] = {}
    for name in names:
        line = curves.lines[name]
        for step, epoch, value in zip(line.steps, line.epochs, line.values, strict=True):
            table.setdefault((step, epoch), {})[name] = value
    rows = (
        [f"{step:g}", f"{epoch:g}", *(values.get(name) for name in names)]
        for (step, epoch), values in sorted(table.items())
    )
    return csv_text(["step", "epoch", *names], rows)


def of_matrix(matrix: Sequence[Sequence[float | None]]) -> str:
    """Return a matrix, its rows and columns numbered."""
    columns = max((len(row) for row in matrix), default=0)
    return csv_text(["", *map(str, range(columns))], ([n, *row] for n, row in enumerate(matrix)))
