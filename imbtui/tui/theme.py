"""Calm colours. State is always spelled out as well; these only help the eye."""

from __future__ import annotations

from rich.color import ColorType
from rich.style import Style
from textual.theme import BUILTIN_THEMES, Theme

MUTED = "auto 72%"
"""Muted text: faint enough to stand back, and to be read on the line under the cursor."""

DARK = Theme(
    name="imbtui-dark",
    primary="#6ca8f0",
    secondary="#b394d8",
    accent="#d7ba7d",
    success="#6fb58a",
    warning="#d9a05b",
    error="#e0756b",
    foreground="#ccd3de",
    background="#15181e",
    surface="#1c2028",
    panel="#232833",
    dark=True,
    variables={
        "text-muted": MUTED,
        "scrollbar": "#39424f",
        "scrollbar-hover": "#4a5566",
        "scrollbar-active": "#6ca8f0",
        "scrollbar-background": "#15181e",
        "scrollbar-background-hover": "#15181e",
        "scrollbar-background-active": "#15181e",
    },
)
LIGHT = Theme(
    name="imbtui-light",
    primary="#2f6fb7",
    secondary="#7a4fb0",
    accent="#8a6a12",
    success="#2e7d52",
    warning="#96590c",
    error="#b83a30",
    foreground="#262b33",
    background="#fafaf8",
    surface="#f1f1ee",
    panel="#e6e7e6",
    dark=False,
    variables={
        "text-muted": MUTED,
        "scrollbar": "#c3c6c9",
        "scrollbar-hover": "#a9adb2",
        "scrollbar-active": "#2f6fb7",
        "scrollbar-background": "#fafaf8",
        "scrollbar-background-hover": "#fafaf8",
        "scrollbar-background-active": "#fafaf8",
    },
)
TERMINAL = Theme(
    name="imbtui-terminal",
    ansi=True,
    primary="ansi_blue",
    secondary="ansi_magenta",
    accent="ansi_cyan",
    success="ansi_green",
    warning="ansi_yellow",
    error="ansi_red",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    boost="ansi_default",
    dark=True,
    variables=BUILTIN_THEMES["ansi-dark"].variables,
)
COLOUR_BLIND = Theme(  # the colours of Okabe and Ito, which all kinds of eyes tell apart
    name="imbtui-colour-blind",
    primary="#56b4e9",
    secondary="#cc79a7",
    accent="#f0e442",
    success="#00b486",
    warning="#e69f00",
    error="#ee7733",
    foreground="#dde3ea",
    background="#101216",
    surface="#191d23",
    panel="#222831",
    dark=True,
    variables=DARK.variables,
)
NAMES = {
    DARK.name: "calm colours on a dark ground",
    LIGHT.name: "calm colours on a light ground",
    TERMINAL.name: "the terminal's own sixteen colours",
    COLOUR_BLIND.name: "safe for all kinds of colour vision",
}
"""Our themes, in the order in which a key goes through them."""
THEMES = (DARK, LIGHT, TERMINAL, COLOUR_BLIND)


def is_ansi(style: Style) -> bool:
    """Whether a style's ground is one of the terminal's own colours, which do not blend."""
    return style.bgcolor is not None and style.bgcolor.type is not ColorType.TRUECOLOR


def selected(style: Style, ground: Style) -> Style:
    """Return the style of a text on the line under the cursor.

    The terminal's own colours have no pale ground on which all text can be read: there the line is reversed.

    Args:
        style: what the text has elsewhere.
        ground: of the line.
    """
    if is_ansi(ground):
        return Style(reverse=True, bold=style.bold)
    return style + Style(bgcolor=ground.bgcolor)
