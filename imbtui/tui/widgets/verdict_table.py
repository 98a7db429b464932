"""A table whose column `verdict` is drawn as one."""

from __future__ import annotations

from collections.abc import Callable

from rich.segment import Segment
from rich.style import Style

from imbtui.tui.messages import Row
from imbtui.tui.verdict_lines import STYLES
from imbtui.tui.widgets.table import Column, Table, cell


class VerdictTable(Table):
    """Rows with a verdict each: its word says everything, its colour only helps the eye."""

    DEFAULT_CSS = "VerdictTable { height: auto; }"

    def cells(self, row: Row, column: Column, width: int, style: Callable[[str], Style]) -> list[Segment]:
        if column.key == "verdict":
            name = STYLES.get(row["verdict"], "quiet")
            return [Segment(cell(row["verdict"], width), style(f"table--{name}"))]
        return super().cells(row, column, width, style)
