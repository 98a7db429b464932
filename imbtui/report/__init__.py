"""Tables, comparisons and summaries of runs, as plain data that front ends draw."""

from imbtui.report.compare import Comparison, compare
from imbtui.report.spread import Spread, number
from imbtui.report.summary import summarise
from imbtui.report.table import FORMATS, Cell, Format, Table, pivot, render

__all__ = [
    "FORMATS",
    "Cell",
    "Comparison",
    "Format",
    "Spread",
    "Table",
    "compare",
    "number",
    "pivot",
    "render",
    "summarise",
]
