"""Results as rows by columns: mean ± sd over seeds, n, and the reported value beside it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from imbtui import metrics, where
from imbtui.errors import UserError, did_you_mean
from imbtui.members import Member
from imbtui.metrics import Reader
from imbtui.report.spread import Spread, number, spread
from imbtui.verdict import expression

Format = Literal["md", "csv", "latex"]
FORMATS: tuple[Format, ...] = ("md", "csv", "latex")
FROM_MEMORY = "†"
_MEMORY_NOTE = f"[ ] reported by the paper; {FROM_MEMORY} from memory, not checked against it."
_VERIFIED_NOTE = "[ ] reported by the paper."


@dataclass(frozen=True)
class ReportedValue:
    """A number of the paper that belongs to a cell.

    Attributes:
        value: in the table's metric.
        verified: it was checked against the source; otherwise it is from memory.
    """

    value: float
    verified: bool
    source: str

    def text(self, digits: int = 3) -> str:
        return f"[{number(self.value, digits)}{'' if self.verified else FROM_MEMORY}]"


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes:
        spread: of the finished runs; None: there is none yet.
        asked: seeds that the study asks for.
        reported: what the paper reports here, if anything.
    """

    spread: Spread | None
    asked: int
    reported: ReportedValue | None = None

    def text(self, digits: int = 3, *, sign: str = " ± ") -> str:
        """Return `0.842 ± 0.012 (n=5) [0.770†]`; `(n=3 of 5)` while runs are missing, `-` without any."""
        parts = []
        if self.spread is not None:
            missing = f" of {self.asked}" if self.spread.n < self.asked else ""
            parts.append(f"{self.spread.text(digits, sign=sign)} (n={self.spread.n}{missing})")
        elif self.asked:
            parts.append("-")
        if self.reported is not None:
            parts.append(self.reported.text(digits))
        return " ".join(parts)


@dataclass(frozen=True)
class Table:
    """A table before it has a format.

    Attributes:
        metric, at: what the cells hold.
        corner: names of the row and column keys.
        rows, columns: labels.
        cells: by row, then column; None where the study has no run.
        notes: sentences a reader must know, shown below.
    """

    metric: str
    at: str
    corner: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[tuple[Cell | None, ...], ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON document with every value by seed."""

        def plain(cell: Cell | None) -> dict[str, Any] | None:
            if cell is None:
                return None
            measured = None if cell.spread is None else cell.spread.to_json()
            reported = None if cell.reported is None else vars(cell.reported)
            return {"measured": measured, "asked": cell.asked, "reported": reported}

        return {
            "metric": self.metric,
            "at": self.at,
            "rows": list(self.rows),
            "columns": list(self.columns),
            "cells": [[plain(cell) for cell in row] for row in self.cells],
            "notes": list(self.notes),
        }


def pivot(
    members: Sequence[Member],
    *,
    rows: str,
    columns: str | None,
    metric: str,
    at: str = "last",
    stage: str | None = None,
    reported: Iterable[Mapping[str, Any]] = (),
    known: Sequence[str] = ("*",),
) -> Table:
    """Arrange a metric by two keys.

    Args:
        members: runs of one study, finished or not.
        rows, columns: `arm`, `seed`, a grid key, a dotted recipe key or a table's name (`dataset`, `loss`);
            `columns = None`: one column.
        metric: its name, or an expression as in claims.
        at, stage: which value of its curve, see `metrics.pick`.
        reported: the study's `[[reported]]` tables; of `error` and `accuracy` one is turned into the other.
        known: the names of what its runs record, see `recipe.measured.metrics`.

    Raises:
        UserError: a key or `at` means nothing, or no finished run has the metric, or none ever will.
    """
    keys = [rows] if columns is None else [rows, columns]
    points = {key for member in members for key in member.point}
    for key in keys:
        if key not in points:
            where.check_key(key, where="table")
    names = [reference.name for reference in expression.parse(metric, where="table").references]
    groups: dict[tuple[str, str], list[Member]] = {}
    row_values: dict[str, Any] = {}
    column_values: dict[str, Any] = {}
    for member in members:
        row = member.lookup(rows)
        column = metric if columns is None else member.lookup(columns)
        if member.run is None and (row is None or column is None):
            continue  # what a run that was never made would have here is not known
        row_values.setdefault(_label(row), row)
        column_values.setdefault(_label(column), column)
        groups.setdefault((_label(row), _label(column)), []).append(member)
    row_labels, column_labels = _sorted(row_values), _sorted(column_values)
    reader = Reader()
    papers = list(reported)
    cells: dict[tuple[str, str], Cell] = {}
    notes: list[str] = []
    for place, group in groups.items():
        measured, lacking = spread(group, metric, at=at, stage=stage, among=members, reader=reader)
        notes += lacking
        cells[place] = Cell(measured, len({m.seed for m in group}), reported_value(papers, metric, group))
    if all(cell.spread is None for cell in cells.values()):
        _explain_nothing(members, names, notes, reader, known)
    notes = _at_most(notes)
    if mixed := _mixed(groups.values(), keys):
        notes.append(f"Cells average over {', '.join(mixed)}.")
    found_reported = [cell.reported for cell in cells.values() if cell.reported is not None]
    if found_reported:
        notes.append(_VERIFIED_NOTE if all(r.verified for r in found_reported) else _MEMORY_NOTE)
    return Table(
        metric=metric,
        at=at,
        corner=rows if columns is None else f"{rows} \\ {columns}",
        rows=row_labels,
        columns=column_labels,
        cells=tuple(tuple(cells.get((r, c)) for c in column_labels) for r in row_labels),
        notes=tuple(notes),
    )


def render(table: Table, form: Format, *, digits: int = 3) -> str:
    """Return a table as text that ends in a newline.

    Args:
        table: the table.
        form: `md` (pipes), `csv` (mean, sd, n and reported value in columns of their own), `latex`
            (booktabs).
        digits: decimals; csv has all of them.
    """
    if form == "csv":
        return _csv(table)
    return _markdown(table, digits) if form == "md" else _latex(table, digits)


def _markdown(table: Table, digits: int) -> str:
    def line(cells: Iterable[str]) -> str:
        escaped = (" ".join(c.replace("\\", "\\\\").replace("|", "\\|").split()) for c in cells)
        return "| " + " | ".join(escaped) + " |"

    lines = [line([table.corner, *table.columns]), "|" + " --- |" + " ---: |" * len(table.columns)]
    for label, row in zip(table.rows, table.cells, strict=True):
        lines.append(line([label, *("" if c is None else c.text(digits) for c in row)]))
    return "\n".join([*lines, "", *_footer(table)]) + "\n"


def _csv(table: Table) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    fields = ("mean", "sd", "n", "reported", "confidence")
    writer.writerow([table.corner, *(f"{column} {field}" for column in table.columns for field in fields)])
    for label, row in zip(table.rows, table.cells, strict=True):
        values: list[Any] = [label]
        for cell in row:
            measured = None if cell is None else cell.spread
            given = None if cell is None else cell.reported
            values += ["", "", 0] if measured is None else [measured.mean, measured.sd, measured.n]
            values += ["", ""] if given is None else [given.value, "verified" if given.verified else "memory"]
        writer.writerow(["" if v is None else v for v in values])
    return out.getvalue()


def _latex(table: Table, digits: int) -> str:
    lines = [
        f"\\begin{{tabular}}{{l{'r' * len(table.columns)}}}",
        "\\toprule",
        " & ".join(map(_escaped, [table.corner, *table.columns])) + " \\\\",
        "\\midrule",
    ]
    for label, row in zip(table.rows, table.cells, strict=True):
        texts = ["" if c is None else _escaped(c.text(digits)) for c in row]
        lines.append(" & ".join([_escaped(label), *texts]) + " \\\\")
    lines.append("\\bottomrule")
    wide = len(table.columns) + 1
    lines += [f"\\multicolumn{{{wide}}}{{l}}{{\\footnotesize {_escaped(n)}}} \\\\" for n in _footer(table)]
    return "\n".join([*lines, "\\end{tabular}"]) + "\n"


_LATEX = {
    "\\": "\\textbackslash{}",
    "{": "\\{",
    "}": "\\}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    **{c: f"\\{c}" for c in "&%$#_"},
    # An opening bracket after \\ would be read as its optional argument.
    "[": "{[}",
    "]": "{]}",
    "±": "$\\pm$",
    FROM_MEMORY: "$^\\dagger$",
}


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(c, c) for c in " ".join(text.split()))


def _footer(table: Table) -> list[str]:
    which = "" if table.at == "last" else f" (at {table.at})"
    several = any(
        c is not None and c.spread is not None and c.spread.n > 1 for row in table.cells for c in row
    )
    return [f"{table.metric}{which}{': mean ± sd over n seeds' if several else ''}.", *table.notes]


def _label(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return " + ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _sorted(labelled: Mapping[str, Any]) -> tuple[str, ...]:
    """Numbers ascend; everything else stays in the study's order."""
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in labelled.values())
    return tuple(sorted(labelled, key=lambda label: labelled[label]) if numbers else labelled)


def reported_value(
    tables: Iterable[Mapping[str, Any]], metric: str, group: Sequence[Member]
) -> ReportedValue | None:
    """Return what a study's `[[reported]]` tables say of a metric of members, or None.

    Args:
        tables: the study's; of `error` and `accuracy` one is turned into the other.
        metric: its name.
        group: the members that all have to be meant.
    """
    from imbtui.recipe.overrides import flatten

    for table in tables:
        value = _in_metric(table, metric)
        wanted = flatten(table["where"])
        if value is not None and all(where.equal(m.lookup(k), v) for m in group for k, v in wanted.items()):
            return ReportedValue(value, table["confidence"] == "verified", table["source"])
    return None


def _in_metric(table: Mapping[str, Any], metric: str) -> float | None:
    if table["metric"] == metric:
        return float(table["value"])
    kinds = (table["metric"].rpartition("/"), metric.rpartition("/"))
    if kinds[0][0] == kinds[1][0] and {k[2] for k in kinds} == {"accuracy", "error"}:
        return 1.0 - float(table["value"])
    return None


def _mixed(groups: Iterable[Sequence[Member]], keys: Sequence[str]) -> list[str]:
    """Return what differs between the runs of one seed in one cell."""
    differing: dict[str, None] = {}
    for group in groups:
        by_seed: dict[int, list[Member]] = {}
        for member in group:
            by_seed.setdefault(member.seed, []).append(member)
        for same in by_seed.values():
            for key in ("arm", *same[0].point):
                # As text, since a grid's values may be lists.
                if key not in keys and len({str(m.lookup(key)) for m in same}) > 1:
                    differing[key] = None
            if len(same) > 1 and not differing:
                differing["several runs a seed"] = None
    return list(differing)


def _explain_nothing(
    members: Sequence[Member], names: Sequence[str], notes: list[str], reader: Reader, known: Sequence[str]
) -> None:
    """Raise when runs have finished and none has all of these metrics, or when none is going to."""
    from imbtui.recipe.measured import check_metric

    finished = [m.finished for m in members if m.finished is not None]
    if not finished or not notes:
        for name in names:
            check_metric(name, known, where="table")
        return
    found = sorted({n for run in finished for n in (*run.metrics, *metrics.names(reader.rows(run)))})
    for name in names:
        if name not in found:
            raise UserError(f'no run measured "{name}"', where="table", hint=did_you_mean(name, found))
    raise UserError(notes[0], where="table")


def _at_most(notes: list[str], limit: int = 3) -> list[str]:
    return notes if len(notes) <= limit else [*notes[:limit], f"... and {len(notes) - limit} more like this."]
