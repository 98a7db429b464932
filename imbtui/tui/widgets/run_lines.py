"""Runs as lines of a table: their states in their colours, their progress as bars."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style

from imbtui.tui import rows as say
from imbtui.tui.messages import Row
from imbtui.tui.widgets.table import Column, Table, cell


class RunLines(Table):
    """A table of runs; the columns `state` and `progress` are drawn as such."""

    DEFAULT_CSS = """
    RunLines > .runs-table--queued { color: $text-muted; }
    RunLines > .runs-table--running { color: $text-primary; text-style: bold; }
    RunLines > .runs-table--finished { color: $text-success; }
    RunLines > .runs-table--stopped { color: $text-warning; }
    RunLines > .runs-table--failed { color: $text-error; text-style: bold; }
    RunLines > .runs-table--crashed { color: $text-error; text-style: bold; }
    RunLines > .runs-table--trouble { color: $text-error; }
    RunLines > .runs-table--rail { color: $text-muted; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "runs-table--trouble",
        "runs-table--rail",
        *(f"runs-table--{state}" for state in say.STATES),
    }

    def cells(self, row: Row, column: Column, width: int, style: Callable[[str], Style]) -> list[Segment]:
        if column.key == "state":
            return [Segment(cell(row["state"], width), style(f"runs-table--{row['state']}"))]
        if column.key == "progress":
            return self._progress(row, width, style)
        return super().cells(row, column, width, style)

    def _progress(self, row: Row, cells: int, style: Callable[[str], Style]) -> list[Segment]:
        share = say.share(row)
        if share is None:
            trouble = row["state"] in ("failed", "crashed")
            name = "runs-table--trouble" if trouble else "table--quiet"
            return [Segment(cell(say.situation(row), cells), style(name))]
        percent = f" {int(100 * share):3d} %"
        words = f"  {say.epochs(row)}"
        bar = min(20, cells - len(percent))
        if cells - len(percent) - cell_len(words) >= 8:
            bar = min(20, cells - len(percent) - cell_len(words))
        else:
            words = ""
        full = round(share * bar)
        rest = cells - bar - len(percent)
        return [
            Segment("━" * full, style("runs-table--running")),
            Segment("┄" * (bar - full), style("runs-table--rail")),
            Segment(percent, style("table--text")),
            Segment(cell(words, rest), style("table--quiet")),
        ]
