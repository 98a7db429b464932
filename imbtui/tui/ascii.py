"""Screens for terminals that know only ASCII: each character outside it is written as one inside it.

Charts are drawn with other characters in the first place, see `plotting.braille`; this is for all the rest.
"""

from __future__ import annotations

import locale
import os
import unicodedata
from functools import lru_cache

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

_LIKE = str.maketrans(
    {
        **dict.fromkeys("━─┄┈╌⎯▁▂▔—–−", "-"),
        **dict.fromkeys("│┃┆┊▏▕▎", "|"),
        **dict.fromkeys("┤├┬┴┼└┘┌┐╭╮╰╯┏┓┗┛┣┫┳┻╋", "+"),
        **dict.fromkeys("▌▸❯→▶▐", ">"),
        **dict.fromkeys("▾▼↓⌄", "v"),
        **dict.fromkeys("▴▲↑^", "^"),
        **dict.fromkeys("●•◉■◆★", "*"),
        **dict.fromkeys("█▇▆▓", "#"),
        **dict.fromkeys("▅▄▃▒▀", "="),
        **dict.fromkeys("░", ":"),
        **dict.fromkeys("·…⋯", "."),
        **{
            "←": "<",
            "×": "x",
            "±": "~",
            "⏎": "<",
            "≥": ">",
            "≤": "<",
            "≈": "~",
            "µ": "u",
            "†": "*",
            "∿": "~",
            "≡": "=",
            "▦": "#",
            "◫": "[",
            "§": "S",
            "⌫": "<",
            "✓": "y",
            "✗": "n",
        },
        **{"Δ": "D", "σ": "s", "α": "a", "°": "o", "“": '"', "”": '"', "‘": "'", "’": "'", "\u00a0": " "},
    }
)


_KEYS = {"⏎": "enter", "⌫": "backspace", "←": "left", "→": "right", "↑": "up", "↓": "down"}


def wanted() -> bool:
    """Whether to write ASCII only: `IMBTUI_ASCII` says so, or the terminal's encoding has nothing else."""
    asked = os.environ.get("IMBTUI_ASCII")
    if asked is not None:
        return asked not in ("", "0")
    return locale.getpreferredencoding(False).lower() in ("ascii", "ansi_x3.4-1968", "us-ascii")


def key_text(display: str) -> str:
    """Return how a key is written where its sign would mean nothing."""
    return "".join(_KEYS.get(character, character) for character in display)


@lru_cache(4096)
def ascii_text(text: str) -> str:
    """Return text in ASCII that takes as many cells."""
    if text.isascii():
        return text
    return "".join(_ascii_character(character) for character in text.translate(_LIKE))


def _ascii_character(character: str) -> str:
    if character.isascii():
        return character
    if 0x2800 <= ord(character) <= 0x28FF:
        return " " if character == "\u2800" else "*"
    if unicodedata.category(character) == "So":
        return " " * cell_len(character)  # a picture that only adorns
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    width = cell_len(character)
    return plain if len(plain) == width else "?" * width


class AsciiFilter(LineFilter):
    """Rewrites every line on its way to the terminal."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            segment
            if segment.control or segment.text.isascii()
            else Segment(ascii_text(segment.text), segment.style)
            for segment in segments
        ]
