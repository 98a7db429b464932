"""Numbers, moments and log lines for people."""

from __future__ import annotations

import datetime
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imbtui import text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.81234, "0.8123"), (0.0, "0.0000"), (12, "12"), (1e-5, "1.00e-05"), (-2e7, "-2.00e+07"),
        (None, "-"), (math.nan, "nan"), (math.inf, "inf"), ("a\x1b", "a\\x1b"), (True, "True"),
        ([0.5], "[0.5]"),
    ],
)  # fmt: skip
def test_number(value: Any, shown: str) -> None:
    assert text.number(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.04, "0.0 s"), (8.25, "8.2 s"), (59.4, "59 s"), (59.9, "60 s"), (60, "1 min"), (200, "3 min 20 s"),
        (3600, "1 h"), (7500, "2 h 5 min"), (100_000, "1 d 3 h"), (None, "-"), (math.inf, "-"),
        (math.nan, "-"),
    ],
)  # fmt: skip
def test_duration(seconds: float | None, shown: str) -> None:
    assert text.duration(seconds) == shown


@pytest.mark.parametrize(
    ("hours", "shown"), [(0, "now"), (0.5, "30 min"), (3.9, "3 h"), (72, "3 d"), (-1, "now")]
)
def test_ago(hours: float, shown: str) -> None:
    now = datetime.datetime(2026, 1, 10, tzinfo=datetime.UTC)
    assert text.ago((now - datetime.timedelta(hours=hours)).isoformat(), now) == shown


def test_ago_of_what_is_no_moment() -> None:
    assert text.ago("yesterday") == ""


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 B"), (999, "999 B"), (3400, "3.4 kB"), (123_456_789, "123 MB"), (5 * 10**13, "50.0 TB")],
)
def test_size(count: int, shown: str) -> None:
    assert text.size(count) == shown


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("10%\r50%\r100%", "100%"),
        ("done\r\n", "done"),
        ("a\tb", "a\tb"),
        ("\x1b", "\\x1b"),
    ],
)
def test_log_line(line: str, shown: str) -> None:
    assert text.log_line(line) == shown


@given(st.text())
def test_no_log_line_holds_a_control_character(line: str) -> None:
    assert all(c == "\t" or c.isprintable() for c in text.log_line(line))
