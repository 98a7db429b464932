"""How names, numbers and moments are written for people, safely: shared by everything that prints them."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Mapping
from typing import Any

from imbtui.files import printable

# CSI and OSC sequences, two-character escapes: what moves cursors, paints, and renames windows.
_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")


def log_line(line: str) -> str:
    """Return a line of a log as it would finally stand there: no sequences, progress bars at their end."""
    plain = _SEQUENCE.sub("", line).rstrip("\r\n")
    return printable(plain.rpartition("\r")[2])


def number(value: Any, digits: int = 4) -> str:
    """Return a metric for a table: `0.8123`, `1.2e-05`, `12`, or `-` where there is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "-" if value is None else printable(str(value))
    if math.isnan(value):
        return "nan"
    if isinstance(value, int) or math.isinf(value):
        return str(value)
    if value and (abs(value) < 10.0 ** -(digits - 1) or abs(value) >= 1e6):
        return f"{value:.{digits - 2}e}"
    return f"{value:.{digits}f}"


def shown(value: Any, key: str = "") -> str:
    """Return a value in one line: metrics (keys with a slash) with four decimals, all else as written.

    Args:
        key: what it is the value of.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ", ".join(shown(part, key) for part in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={shown(part)}" for name, part in value.items())
    if isinstance(value, float) and "/" not in key:
        return f"{value:g}"
    return number(value)


def p_value(value: float) -> str:
    """Return a p value: `p = 0.012`, `p < 0.001`."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def duration(seconds: float | None) -> str:
    """Return a length of time in at most two units: `8.2 s`, `3 min 20 s`, `2 h 5 min`, `1 d 4 h`."""
    if seconds is None or not math.isfinite(seconds):
        return "-"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    whole = round(seconds)
    for size, unit, below, smaller in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // below
            return f"{whole // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole} s"


def ago(moment: str, now: datetime.datetime | None = None) -> str:
    """Return how long ago an ISO 8601 moment was: `now`, `5 min`, `3 h`, `12 d`; empty when it is none."""
    try:
        then = datetime.datetime.fromisoformat(moment)
    except ValueError:
        return ""
    if then.tzinfo is None:
        then = then.replace(tzinfo=datetime.UTC)
    seconds = ((now or datetime.datetime.now(datetime.UTC)) - then).total_seconds()
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return "now"


def size(count: int) -> str:
    """Return a number of bytes: `812 B`, `3.4 MB`."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def plural(count: int, noun: str) -> str:
    """Return `1 run`, `3 runs`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def point(values: Mapping[str, Any]) -> str:
    """Return a grid point: `loss.max_m=0.5 train.epochs=10`."""
    return printable(" ".join(f"{key}={value}" for key, value in values.items()))
