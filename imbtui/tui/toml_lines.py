"""TOML text as styled lines."""

from __future__ import annotations

import re

from imbtui.files import printable
from imbtui.tui.widgets.lines import Line

_KEY = re.compile(r"(\s*)([\w.\"'-]+)(\s*=\s*)(.*)")


def toml_lines(source: str) -> list[Line]:
    """Return a recipe's text: headings, keys and values told apart, comments faint."""
    return [_line(printable(line)) for line in source.splitlines()]


def _line(line: str) -> Line:
    stripped = line.strip()
    if stripped.startswith("#"):
        return [(line, "quiet")]
    if stripped.startswith("["):
        return [(line, "accent")]
    match = _KEY.fullmatch(line)
    if match is None:
        return [(line, "text")]
    indent, key, equals, value = match.groups()
    return [(indent, "text"), (key, "text"), (equals, "quiet"), (value, "good")]
