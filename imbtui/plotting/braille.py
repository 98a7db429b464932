"""Curves as braille characters: a pure function from series to text.

A character cell holds 2 x 4 dots. Long series are thinned to the minimum and maximum of each dot column,
which keeps every spike. Series differ by line pattern, so that no colour is needed to tell them apart;
`draw` also says which series each piece of a line belongs to, for those who have colours.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

AXIS, LABEL = -1, -2
"""Roles of a chart's pieces that belong to no series."""

BAND = 1000
"""Roles from here on belong to the band around a series: its index above this."""

PATTERNS = ("1", "11111000", "1000", "1111110010")
"""Dots along a line that are set: solid, dashed, dotted, dash-dotted."""

SAMPLES = ("⠤⠤⠤⠤", "⠤⠄⠠⠤", "⠄⠀⠄⠀", "⠤⠤⠠⠀")
"""What each pattern looks like, for legends."""

_LETTERS = "*o+x#@%&"  # of series, where there are no dots
LETTER_EVERY = 16  # columns, at least, from one letter of a line to its next
DECIMALS = 16  # of a label, fewer than: as many tell any two marks of an axis apart
_BLANK = 0x2800
_BITS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
# All dots of a cell's left or right half from the n-th downwards, and down to the n-th.
_BELOW = tuple(tuple(sum(half[n:]) for n in range(4)) for half in _BITS)
_ABOVE = tuple(tuple(sum(half[: n + 1]) for n in range(4)) for half in _BITS)

Piece = tuple[str, int]


@dataclass(frozen=True)
class Series:
    """One line of a chart.

    Attributes:
        label: its name in the legend.
        x, y: points; `x` ascends. Points with a value that is not finite are left out.
        pattern: see `pattern_of`; left out: its position among the series.
        low, high: edges of a band around the line, a value a point; empty: no band.
        mark: a letter at the end of the line. With more series than patterns it stands along it as well,
            and in `plain` charts the line is made of it.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    pattern: int | None = None
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    mark: str = ""


@dataclass(frozen=True)
class Chart:
    """A drawn chart.

    Attributes:
        rows: lines of (text, role); a role is the index of a series, `BAND` plus it, `AXIS` or `LABEL`.
        left: columns before the plot area.
        x_range, y_range: values at the edges of the plot area.
    """

    rows: list[list[Piece]]
    left: int = 0
    x_range: tuple[float, float] = (0.0, 1.0)
    y_range: tuple[float, float] = (0.0, 1.0)

    @property
    def lines(self) -> list[str]:
        """The rows as plain text."""
        return ["".join(text for text, _ in row) for row in self.rows]


def render(
    series: Sequence[Series], width: int, height: int, *, log_y: bool = False, x_label: str = ""
) -> list[str]:
    """Return a chart as `height` lines of at most `width` characters; see `draw`."""
    return draw(series, width, height, log_y=log_y, x_label=x_label).lines


def legend(series: Sequence[Series], *, plain: bool = False) -> list[Piece]:
    """Return a line pattern and label for each series, two spaces apart; `plain` as in `draw`."""
    pieces: list[Piece] = []
    for index, one in enumerate(series):
        gap = "  " if index else ""
        mark = f" {one.mark}" if one.mark else ""
        sample = _sign(one, index) * 2 if plain else SAMPLES[_pattern(one, index)]
        pieces.append((f"{gap}{sample}{mark} {one.label}", index))
    return pieces


def draw(
    series: Sequence[Series],
    width: int,
    height: int,
    *,
    log_y: bool = False,
    x_label: str = "",
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
    zero: bool = False,
    plain: bool = False,
) -> Chart:
    """Draw series with axes and round ticks.

    Args:
        series: lines, the first one drawn on top.
        width, height: size in characters, axes included.
        log_y: logarithmic y axis; values of 0 and below are left out.
        x_label: unit of the x axis, written at its right end.
        x_range, y_range: what to show; default: all there is, and all that `x_range` leaves.
        zero: begin the y axis at 0, for what is never below it.
        plain: letters instead of dots, for terminals that know only ASCII.
    """
    cleaned = [_within(_clean(one, log_y), x_range) for one in series]
    shown = [points for points in cleaned if points[0]]
    rows, columns = height - 2, width
    if not shown or rows < 2 or width < 16:
        return Chart([[("", AXIS)] for _ in range(height)])
    left_x, right_x = x_range or (min(x[0] for x, _ in shown), max(x[-1] for x, _ in shown))
    if right_x <= left_x:
        right_x = left_x + 1
    bands = [_band(one, log_y, left_x, right_x) for one in series]
    lowest = min(min(y) for _, y in [*shown, *((x, low) for x, low, _ in bands if x)])
    highest = max(max(y) for _, y in [*shown, *((x, high) for x, _, high in bands if x)])
    low, high = y_range or _padded(0.0 if zero and not log_y else lowest, highest, log_y)
    marks = _log_ticks(low, high, max(3, rows * 2 // 5)) if log_y else ticks(low, high, max(3, rows * 2 // 5))
    names = [labels([mark])[0] for mark in marks] if log_y else labels(marks)
    margin = max((len(name) for name in names), default=0) + 2
    columns = width - margin
    canvas = _Canvas(columns, rows)
    scale = _Scale(left_x, right_x, _log(low) if log_y else low, _log(high) if log_y else high, columns, rows)
    for index, (x, bottom, top) in enumerate(bands):
        if x:
            edges = zip(_points(x, top, scale, log_y), _points(x, bottom, scale, log_y), strict=True)
            canvas.band(edges, BAND + index)
    for index in reversed(range(len(series))):
        x, y = cleaned[index]
        if x:
            pattern = PATTERNS[_pattern(series[index], index)]
            if len(x) > 4 * columns:
                canvas.spans(_thinned(x, y, scale, log_y), pattern, index)
            else:
                canvas.line(_points(x, y, scale, log_y), pattern, index)
    if len(series) > len(PATTERNS) and not plain:
        for index, one in enumerate(series):
            x, y = cleaned[index]
            if one.mark and x:
                canvas.letters_along([*_points(x, y, scale, log_y)], one.mark, index, len(series))
    for index, one in enumerate(series):
        x, y = cleaned[index]
        if one.mark and x and left_x <= x[-1] <= right_x:
            canvas.letter(*next(_points(x[-1:], y[-1:], scale, log_y)), one.mark, index)
    at_row = {
        scale.row(_log(mark) if log_y else mark) // 4: name for mark, name in zip(marks, names, strict=True)
    }
    drawn: list[list[Piece]] = []
    signs = [_sign(one, index) for index, one in enumerate(series)] if plain else []
    for number, pieces in enumerate(canvas.rows(signs)):
        name = at_row.get(number)
        tick = "┤" if name is not None else "│"
        drawn.append([(f"{name or '':>{margin - 2}} ", LABEL), (tick, AXIS), *pieces])
    drawn += _x_axis(left_x, right_x, columns, margin, x_label)
    return Chart(drawn, margin, (left_x, right_x), (low, high))


def ticks(low: float, high: float, count: int) -> list[float]:
    """Return at most `count` round numbers (steps of 1, 2 or 5 times a power of ten) within a range."""
    span = high - low
    if span <= 0 or not math.isfinite(span):
        return [low]
    step = 10.0 ** math.floor(math.log10(span / max(1, count)))
    for factor in (1, 2, 5, 10, 20, 50, 100):
        first = math.ceil(low / (step * factor) - 1e-9)
        last = math.floor(high / (step * factor) + 1e-9)
        if last - first + 1 <= count:
            return [number * step * factor for number in range(first, last + 1)]
    return [low]


def labels(marks: Sequence[float]) -> list[str]:
    """Return numbers as text, with as many decimals as tell them apart and no more."""
    finite = [abs(mark) for mark in marks if mark]
    if finite and (max(finite) >= 1e6 or max(finite) < 1e-3):
        return _scientific(marks)
    for decimals in range(DECIMALS):
        texts = [f"{mark:.{decimals}f}" for mark in marks]
        # A tick that is no round number (a lone minimum, say) stays within a thousandth of the smallest.
        exact = all(
            math.isclose(float(t), m, rel_tol=1e-6, abs_tol=1e-3 * min(finite, default=1.0))
            for t, m in zip(texts, marks, strict=True)
        )
        if exact and len(set(texts)) == len(texts):
            return ["0" if float(t) == 0 and decimals == 0 else t for t in texts]
    return [f"{mark:.3g}" for mark in marks]


def _scientific(marks: Sequence[float]) -> list[str]:
    """Return numbers with a power of ten, with at least two decimals and as many as tell them apart."""
    texts: list[str] = []
    for decimals in range(2, DECIMALS):
        texts = []
        for mark in marks:
            mantissa, exponent = f"{mark:.{decimals}e}".split("e")
            mantissa = mantissa.rstrip("0").rstrip(".")
            texts.append("0" if float(mantissa) == 0 else f"{mantissa}e{int(exponent)}")
        if len(set(texts)) == len(marks):
            break
    return texts


def _log_ticks(low: float, high: float, count: int) -> list[float]:
    first, last = math.ceil(_log(low) - 1e-9), math.floor(_log(high) + 1e-9)
    if last - first >= 1:
        stride = -(-(last - first + 1) // count)
        return [10.0**power for power in range(first, last + 1, stride)]
    return [mark for mark in ticks(low, high, count) if mark > 0]


def _log(value: float) -> float:
    return math.log10(value)


def pattern_of(number: int) -> int:
    """Return which of `PATTERNS` the line of a number has: with as many colours, sixteen lines differ."""
    return (number + number // len(PATTERNS)) % len(PATTERNS)


def _pattern(series: Series, index: int) -> int:
    return pattern_of(index if series.pattern is None else series.pattern)


def _sign(series: Series, index: int) -> str:
    """Return the character that a line is made of where there are no dots."""
    return series.mark or _LETTERS[index % len(_LETTERS)]


def _clean(series: Series, log_y: bool) -> tuple[Sequence[float], Sequence[float]]:
    """Return the points that can be drawn; both sequences as given when all of them can."""
    x, y = series.x, series.y
    count = min(len(x), len(y))
    x, y = x[:count], y[:count]
    # A sum is finite only if every term is: one pass at the speed of C for the usual case.
    if count and math.isfinite(sum(y)) and math.isfinite(sum(x)) and not (log_y and min(y) <= 0):
        return x, y
    kept = [
        (a, b)
        for a, b in zip(x, y, strict=True)
        if math.isfinite(a) and math.isfinite(b) and not (log_y and b <= 0)
    ]
    return [a for a, _ in kept], [b for _, b in kept]


def _within(
    points: tuple[Sequence[float], Sequence[float]], x_range: tuple[float, float] | None
) -> tuple[Sequence[float], Sequence[float]]:
    """Return the points of a range of x; as given when that is all of them."""
    x, y = points
    if x_range is None or not x or (x_range[0] <= x[0] and x[-1] <= x_range[1]):
        return x, y
    first, last = bisect_left(x, x_range[0]), bisect_right(x, x_range[1])
    return x[first:last], y[first:last]


def _band(
    series: Series, log_y: bool, left: float, right: float
) -> tuple[Sequence[float], Sequence[float], Sequence[float]]:
    """Return where a series has a band, and its edges; on a logarithmic axis only what is above 0."""
    if not series.low:
        return (), (), ()
    least = math.ulp(0.0) if log_y else -math.inf
    points = [
        (x, low, high)
        for x, low, high in zip(series.x, series.low, series.high, strict=True)
        if left <= x <= right and math.isfinite(low) and math.isfinite(high) and low >= least
    ]
    return [p[0] for p in points], [p[1] for p in points], [p[2] for p in points]


def _padded(low: float, high: float, log_y: bool) -> tuple[float, float]:
    if log_y:
        return (low / 2, high * 2) if high <= low else (low, high)
    if high <= low:
        room = abs(low) * 0.1 or 0.5
        return low - room, high + room
    return low, high


@dataclass(frozen=True)
class _Scale:
    """Maps values to dots of a plot area of `columns` x `rows` characters."""

    left: float
    right: float
    low: float
    high: float
    columns: int
    rows: int

    def column(self, x: float) -> int:
        return round((x - self.left) / (self.right - self.left) * (2 * self.columns - 1))

    def row(self, y: float) -> int:
        last = 4 * self.rows - 1
        return min(last, max(0, round((self.high - y) / (self.high - self.low) * last)))

    def edge(self, column: int) -> float:
        """Value at the left edge of a dot column."""
        return self.left + (column - 0.5) * (self.right - self.left) / (2 * self.columns - 1)


def _points(x: Sequence[float], y: Sequence[float], scale: _Scale, log_y: bool) -> Iterator[tuple[int, int]]:
    """Yield the dot of each point."""
    for a, b in zip(x, y, strict=True):
        if scale.left <= a <= scale.right:
            yield scale.column(a), scale.row(_log(b) if log_y else b)


def _thinned(
    x: Sequence[float], y: Sequence[float], scale: _Scale, log_y: bool
) -> Iterator[tuple[int, int, int]]:
    """Yield column, highest and lowest dot row of each dot column, joined to the column before."""

    def row(value: float) -> int:
        return scale.row(_log(value) if log_y else value)

    width = 2 * scale.columns
    start = bisect_left(x, scale.left)
    before: int | None = None
    for column in range(width):
        edge = scale.edge(column + 1) if column < width - 1 else math.nextafter(scale.right, math.inf)
        stop = bisect_left(x, edge, start)
        if stop <= start:
            continue
        chunk = y[start:stop]
        top, bottom = row(max(chunk)), row(min(chunk))
        if before is not None:
            top, bottom = min(top, before), max(bottom, before)
        yield column, top, bottom
        before = row(chunk[-1])
        start = stop


class _Canvas:
    """Dots and whose they are."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.height = columns, rows
        self.dots = [[0] * columns for _ in range(rows)]
        self.owner = [[AXIS] * columns for _ in range(rows)]
        self.letters: dict[tuple[int, int], str] = {}

    def line(self, path: Iterator[tuple[int, int]], pattern: str, owner: int) -> None:
        """Join dots; the pattern runs along the line, so that steep parts show it too."""
        length, period = 0, len(pattern)
        before: tuple[int, int] | None = None
        for point in path:
            if before is None:
                self._set(*point, owner)
            elif point != before:
                for dot in _segment(before, point):
                    length += 1
                    if pattern[length % period] == "1":
                        self._set(*dot, owner)
            before = point

    def spans(self, spans: Iterator[tuple[int, int, int]], pattern: str, owner: int) -> None:
        """Fill dot columns from a highest to a lowest row; the pattern runs along the x axis."""
        for x, top, bottom in spans:
            if pattern[x % len(pattern)] == "0":
                continue
            below, above, column = _BELOW[x & 1], _ABOVE[x & 1], x >> 1
            for row in range(top >> 2, (bottom >> 2) + 1):
                first = top & 3 if row == top >> 2 else 0
                last = bottom & 3 if row == bottom >> 2 else 3
                self.dots[row][column] |= below[first] & above[last]
                self.owner[row][column] = owner

    def band(self, edges: Iterator[tuple[tuple[int, int], tuple[int, int]]], owner: int) -> None:
        """Shade what lies between two edges with one dot in sixteen, each band with others."""
        shift = owner - BAND
        before: tuple[int, int, int] | None = None
        for (x, top), (_, bottom) in edges:
            from_x, from_top, from_bottom = before or (x - 1, top, bottom)
            for column in range(from_x + 1, x + 1):
                part = (column - from_x) / (x - from_x)
                first = round(from_top + part * (top - from_top))
                last = round(from_bottom + part * (bottom - from_bottom))
                for row in range(first, last + 1):
                    if (column + 2 * shift) % 4 == 0 and (row + column // 2 + shift // 2) % 4 == 0:
                        self._set(column, row, owner)
            before = (x, top, bottom)

    def letter(self, x: int, y: int, letter: str, owner: int) -> None:
        """Write a letter at a dot, or left of the letters that stand there."""
        column, row = min(x >> 1, self.columns - 1), y >> 2
        while (row, column) in self.letters and column > 0:
            column -= 1
        self.letters[row, column] = letter
        self.owner[row][column] = owner

    def letters_along(self, path: Sequence[tuple[int, int]], letter: str, owner: int, count: int) -> None:
        """Write a letter on a line every now and then, where none stands; each of `count` lines elsewhere."""
        stride = max(LETTER_EVERY, self.columns // 3)
        place = 2 * (2 + owner * stride // count)
        for (from_x, from_y), (to_x, to_y) in pairwise(path):
            while from_x <= place < to_x:
                y = from_y + round((to_y - from_y) * (place - from_x) / (to_x - from_x))
                column, row = place >> 1, y >> 2
                if (row, column) not in self.letters:
                    self.letters[row, column] = letter
                    self.owner[row][column] = owner
                place += 2 * stride

    def _set(self, x: int, y: int, owner: int) -> None:
        column, row = x >> 1, y >> 2
        if 0 <= column < self.columns and 0 <= row < self.height:
            self.dots[row][column] |= _BITS[x & 1][y & 3]
            self.owner[row][column] = owner

    def rows(self, signs: Sequence[str]) -> Iterator[list[Piece]]:
        """Yield each row as runs of characters with one owner; with `signs` of the owners, of these."""
        for number, (dots, owners) in enumerate(zip(self.dots, self.owner, strict=True)):
            if signs:
                characters = [
                    " " if not d else ":" if o >= BAND else signs[o]
                    for d, o in zip(dots, owners, strict=True)
                ]
            else:
                characters = [chr(_BLANK + d) if d else " " for d in dots]
            for (row, column), letter in self.letters.items():
                if row == number:
                    characters[column] = letter
            pieces: list[Piece] = []
            start = 0
            for column in range(1, self.columns + 1):
                if column == self.columns or owners[column] != owners[start]:
                    pieces.append(("".join(characters[start:column]), owners[start]))
                    start = column
            yield pieces


def _segment(start: tuple[int, int], end: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Yield the dots of a straight line behind its start (Bresenham)."""
    (x, y), (to_x, to_y) = start, end
    dx, dy = abs(to_x - x), -abs(to_y - y)
    step_x, step_y = (1 if x < to_x else -1), (1 if y < to_y else -1)
    error = dx + dy
    while (x, y) != (to_x, to_y):
        twice = 2 * error
        if twice >= dy:
            error += dy
            x += step_x
        if twice <= dx:
            error += dx
            y += step_y
        yield x, y


def _x_axis(left: float, right: float, columns: int, margin: int, unit: str) -> list[list[Piece]]:
    """Return the axis with its ticks, and the line of numbers below it."""
    room = columns - (len(unit) + 1 if unit else 0)
    marks = ticks(left, right, max(2, columns // 10))
    names = labels(marks)
    axis = ["─"] * columns
    text = [" "] * (columns + margin)
    free = 0
    for mark, name in zip(marks, names, strict=True):
        column = round((mark - left) / (right - left) * (columns - 1))
        axis[column] = "┬"
        first = min(margin + column - (len(name) - 1) // 2, margin + columns - len(name))
        if first < free or (unit and first + len(name) > margin + room):
            continue
        text[first : first + len(name)] = name
        free = first + len(name) + 1
    if unit:
        text[margin + columns - len(unit) :] = unit
    return [
        [(" " * (margin - 1), LABEL), ("└" + "".join(axis), AXIS)],
        [("".join(text).rstrip(), LABEL)],
    ]
