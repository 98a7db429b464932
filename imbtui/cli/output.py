"""How commands print: results on stdout, everything else on stderr, nothing that a terminal would obey.

Everything that comes from a recipe, a folder's name or a log goes through `files.printable`, and is printed
as `Text`, which knows no markup.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imbtui.files import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

STYLES = {
    "queued": "dim",
    "running": "cyan",
    "finished": "green",
    "stopped": "yellow",
    "failed": "red",
    "crashed": "bold red",
    "held": "green",
    "did not hold": "red",
    "undecided": "yellow",
    "not run": "dim",
    "no recipe yet": "dim",
}
_GAP = 2


def console(*, stderr: bool = False) -> Console:
    """Return a console on the present stdout or stderr; colours only where they are wanted."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)


def say(sentence: str) -> None:
    """Tell the user something that is no result."""
    print(_safe_lines(sentence), file=sys.stderr, flush=True)


def line(text: str | Text = "") -> None:
    """Print one line of a result."""
    from rich.text import Text

    console().print(text if isinstance(text, Text) else Text(printable(text)))


def heading(text: str) -> None:
    """Print a line in bold."""
    from rich.text import Text

    line(Text(printable(text), style="bold"))


def state(word: str) -> Text:
    """Return a state or a verdict in its colour; the word itself says everything."""
    from rich.text import Text

    return Text(word, style=STYLES.get(word, ""))


def document(content: Any) -> None:
    """Print one JSON document."""
    from imbtui import documents

    print(documents.dumps(content))


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        title: its heading.
        cells: one for each row.
        importance: columns that do not fit are left out, the one with the highest number first.
        right: numbers stand to the right.
        shrink: text that may be cut short (a title, a reason), never an id.
    """

    title: str
    cells: Sequence[str | Text]
    importance: int = 0
    right: bool = False
    shrink: bool = False


def table(columns: Sequence[Column], *, everything: bool = False) -> list[str]:
    """Print columns side by side, see `arrange`, and return the titles of those that did not fit.

    Args:
        columns: in the order in which they stand.
        everything: leave no column out, whatever the width.
    """
    out = console()
    rows, left_out = arrange(columns, None if everything else out.width)
    for row in rows:
        out.print(row)
    return left_out


def arrange(columns: Sequence[Column], width: int | None) -> tuple[list[Text], list[str]]:
    """Return the lines of a table, headings first, and the titles of the columns that did not fit.

    Nothing is folded or cut but columns that permit it; columns of importance 0 are always there.

    Args:
        columns: in the order in which they stand.
        width: characters in a line; None: as many as it takes.
    """
    from rich.text import Text

    kept = list(columns) if width is None else _fitting(columns, width)
    widths = [_width(column) for column in kept]
    over = 0 if width is None else width_of(kept) - width
    for position, column in enumerate(kept):
        if column.shrink and over > 0:
            cut = min(over, max(0, widths[position] - 12))
            widths[position] -= cut
            over -= cut
    titles: list[str | Text] = [Text(column.title, style="bold") for column in kept]
    rows = [titles, *map(list, zip(*(column.cells for column in kept), strict=True))]
    left_out = [column.title for column in columns if not any(column is one for one in kept)]
    return [_row(kept, row, widths) for row in rows], left_out


def width_of(columns: Sequence[Column]) -> int:
    """Return how many characters columns take side by side."""
    return sum(_width(column) + _GAP for column in columns) - _GAP


def _fitting(columns: Sequence[Column], width: int) -> list[Column]:
    kept: list[Column] = []
    used = -_GAP
    for column in sorted(columns, key=lambda c: c.importance):
        needs = _GAP + (min(_width(column), 12) if column.shrink else _width(column))
        if column.importance == 0 or used + needs <= width:
            kept.append(column)
            used += needs
        else:
            break  # a less important column must not take the place of a more important one
    return [column for column in columns if any(column is one for one in kept)]


def _width(column: Column) -> int:
    from rich.cells import cell_len

    return max([cell_len(column.title), *(cell_len(str(cell)) for cell in column.cells)])


def _row(columns: Sequence[Column], cells: Sequence[str | Text], widths: Sequence[int]) -> Text:
    from rich.text import Text

    whole = Text()
    last = len(columns) - 1
    for position, (column, cell, width) in enumerate(zip(columns, cells, widths, strict=True)):
        text = cell.copy() if isinstance(cell, Text) else Text(printable(cell))
        text.truncate(width, overflow="ellipsis")
        space = width - text.cell_len
        if column.right:
            whole.append(" " * space)
        whole.append_text(text)
        if position < last:
            whole.append(" " * (_GAP + (0 if column.right else space)))
    whole.rstrip()
    return whole


def fields(pairs: Sequence[tuple[str, str | Text]]) -> None:
    """Print names and values, the names in a column of their own; empty values are left out."""
    from rich.text import Text

    width = max((len(name) for name, _ in pairs), default=0)
    for name, value in pairs:
        if str(value):
            text = value if isinstance(value, Text) else Text(printable(value))
            line(Text(f"{name:<{width}}  ", style="dim").append_text(text))


def is_terminal() -> bool:
    """Whether results are read by a person now."""
    return sys.stdout.isatty()


@contextlib.contextmanager
def reader_may_leave() -> Iterator[None]:
    """Go on without output when the other end of the pipe is closed.

    For commands whose exit code says something: `imbtui verdict --strict | head` must not lie.
    """
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        mute()


def mute() -> None:
    """Throw away what is printed from now on (and what Python would flush into the closed pipe at exit)."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _safe_lines(text: str) -> str:
    return "\n".join(printable(part) for part in text.split("\n"))
