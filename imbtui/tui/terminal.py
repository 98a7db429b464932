"""What stands in the terminal, so that only the cells that differ are written.

Textual writes whatever part of a line a widget has drawn, from the widget's left edge on. With eight live
runs and a curve that is 23 KB a second, most of it what already stands there: too much for a slow line, and
every byte costs the terminal. Here each line is compared with what was written last.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from rich.cells import get_character_cell_size
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.strip import Strip

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.style import Style

BRIDGE = 10  # cells that are written again rather than the cursor be moved: both take about as many bytes


class Written:
    """The lines of a terminal as pieces that were written side by side."""

    def __init__(self) -> None:
        self._lines: dict[int, dict[int, Strip]] = {}

    def forget(self) -> None:
        """Somebody else has written there, or it has another size."""
        self._lines.clear()

    def know(self, y: int, strips: Iterable[Strip]) -> None:
        """A whole line was written."""
        strips = list(strips)
        starts = accumulate((strip.cell_length for strip in strips), initial=0)
        self._lines[y] = dict(zip(starts, strips, strict=False))

    def write(self, x: int, y: int, strip: Strip, console: Console) -> str:
        """Return what must be written for a piece of a line to stand at a place."""
        line = self._lines.setdefault(y, {})
        before = line.get(x)
        if before is None or before.cell_length != strip.cell_length:
            self._lines[y] = {at: one for at, one in line.items() if not _overlap(at, one, x, strip)}
            self._lines[y][x] = strip
            return _to(x, y) + strip.render(console)
        if before is strip or before == strip:
            return ""
        line[x] = strip
        return "".join(
            _to(x + start, y) + strip.crop(start, stop).render(console)
            for start, stop in differing(before, strip)
        )


class Changes(CompositorUpdate):
    """An update of the screen, as the cells that it changes.

    Args:
        update: the update; one of the whole screen is written as it is.
        written: what stands in the terminal.
    """

    def __init__(self, update: ChopsUpdate | LayoutUpdate, written: Written) -> None:
        self.update = update
        self._written = written

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        return self.update.__rich_console__(console, options)

    def render_segments(self, console: Console) -> str:
        """Return what is to be written."""
        update, written = self.update, self._written
        if isinstance(update, LayoutUpdate):
            written.forget()
            for y, strips in enumerate(update.strips, update.region.y):
                written.know(y, strips)
            return update.render_segments(console)
        # Beside the spans an update holds pieces too, but not all that lies there was asked for its lines.
        return "".join(
            written.write(x, y, strip, console)
            for y, start, stop in update.spans
            for x, strip in update.chops[y].items()
            if strip is not None and x < stop and x + strip.cell_length > start
        )


def differing(before: Strip, after: Strip) -> list[tuple[int, int]]:
    """Return the ranges of cells in which two strips of one length differ, near ones as one."""
    changed = _segments_that_differ(before, after)
    if changed is None:
        changed = _cells_that_differ(before, after)
    if not changed:
        return []
    breaks = [(stop, start) for (_, stop), (start, _) in pairwise(changed) if start - stop >= BRIDGE]
    starts = [changed[0][0], *(start for _, start in breaks)]
    stops = [*(stop for stop, _ in breaks), changed[-1][1]]
    return list(zip(starts, stops, strict=True))


def _segments_that_differ(before: Strip, after: Strip) -> list[tuple[int, int]] | None:
    """Return the cells that differ; None: the strips are not divided alike into segments.

    Lines of a table are: going through their segments takes a third of what going through all cells does.
    """
    if len(before) != len(after):
        return None
    changed: list[tuple[int, int]] = []
    start = 0
    for (text, style, _), (other, its, _) in zip(before, after, strict=True):
        length = len(other)
        if len(text) != length or _has_wide(text) or _has_wide(other):
            return None
        # Mostly styles are the same objects: comparing them as values takes ten times as long.
        if style is not its and style != its:
            changed.append((start, start + length))
        elif text != other:
            cells = enumerate(zip(text, other, strict=True), start)
            changed += [(place, place + 1) for place, (one, another) in cells if one != another]
        start += length
    return changed


def _cells_that_differ(before: Strip, after: Strip) -> list[tuple[int, int]]:
    old, new = before.text, after.text
    if _has_wide(old) or _has_wide(new):
        return [(0, after.cell_length)]
    cells = zip(old, new, _styles(before), _styles(after), strict=True)
    return [
        (place, place + 1)
        for place, (one, other, style, its) in enumerate(cells)
        if one != other or (style is not its and style != its)
    ]


def _has_wide(text: str) -> bool:
    return not text.isascii() and any(get_character_cell_size(character) != 1 for character in set(text))


def _styles(strip: Strip) -> list[Style | None]:
    styles: list[Style | None] = []
    for text, style, _ in strip:
        styles += [style] * len(text)
    return styles


def _overlap(at: int, one: Strip, x: int, other: Strip) -> bool:
    return at < x + other.cell_length and x < at + one.cell_length


def _to(x: int, y: int) -> str:
    return f"\x1b[{y + 1};{x + 1}H"
