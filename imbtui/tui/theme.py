"""Calm colours. State is always spelled out as well; these only help the eye."""

from __future__ import annotations

from textual.theme import Theme

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
    warning="#a8660f",
    error="#b83a30",
    foreground="#262b33",
    background="#fafaf8",
    surface="#f1f1ee",
    panel="#e6e7e6",
    dark=False,
    variables={
        "scrollbar": "#c3c6c9",
        "scrollbar-hover": "#a9adb2",
        "scrollbar-active": "#2f6fb7",
        "scrollbar-background": "#fafaf8",
        "scrollbar-background-hover": "#fafaf8",
        "scrollbar-background-active": "#fafaf8",
    },
)
