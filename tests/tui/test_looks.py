"""What holds of every screen in every theme: its text can be read, and ASCII terminals get ASCII."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from rich.color import ColorType
from rich.style import Style
from textual.pilot import Pilot
from textual.screen import ModalScreen
from textual.theme import Theme

import imbtui
from imbtui.paths import RunsPaths
from imbtui.tui.app import ImbtuiApp
from imbtui.tui.ascii import ascii_text
from imbtui.tui.theme import THEMES, selected

RUN = "rldama-ldam-drw-s0"
PATIENCE = 20.0  # seconds; the machine may be busy
LEAST_CONTRAST = 4.5  # WCAG 2.2, 1.4.3, for text of ordinary size

# Each place: keys from home, and a text that is there when it is.
PLACES: dict[str, tuple[tuple[str, ...], str]] = {
    "runs": (("down",), "state"),
    "marks": (("space", "space"), "2 runs marked"),
    "groups": (("v", "down"), "n=6"),
    "filter": (("slash", *"ldam"), "Esc clears"),
    "order": (("o",), "Sort by"),
    "tag": (("t",), "tag"),
    "delete": (("down", "delete"), "trash"),
    "help": (("question_mark",), "Keys"),
    "jump": (("ctrl+o",), "letter"),
    "palette": (("ctrl+p",), "Search"),
    "compare": (("c",), "difference"),
    "compare metrics": (("c", "2"), "test/accuracy"),
    "compare settings": (("c", "3"), "loss.name"),
    "queue": (("Q",), "slots:"),
    "papers": (("P",), "Networks treat"),
    "paper": (("P", "down", "down", "enter"), "Claims of"),
    "paper figure": (("P", "down", "down", "enter", "2"), "balanced accuracy"),
    "paper numbers": (("P", "down", "down", "enter", "3"), "Reported"),
    "recipes": (("n",), "mine"),
    "form": (("n", *"mine", "enter"), "6 runs: 2"),
    "form, typing": (("n", *"mine", "enter", "down", "down", "5"), "5"),
    "form, all options": (("n", *"mine", "enter", "ctrl+t"), "head_std"),
    "preview of a form": (("n", *"mine", "enter", "f3"), "split_seed"),
    "curves": (("enter", *["left"] * 3), "epoch"),
    "classes": (("enter", "2"), "trained on"),
    "confusion": (("enter", "2", "v"), "confusion"),
    "recipe": (("enter", "3"), "split_seed"),
    "origins": (("enter", "3", "v"), "--set"),
    "log": (("enter", "4", "slash", *"epoch"), "Esc ends"),
    "system": (("enter", "5"), "System"),
    "probes": (("enter", "6"), "artefacts"),
}


@pytest.fixture
def visit(
    gallery: RunsPaths,
    study: list[Any],
    study_text: str,
    shown: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Any]:
    """`async for place in visit(pilot)`: go to each place of the dashboard in turn."""
    monkeypatch.chdir(gallery.root.parent)
    monkeypatch.setattr("imbtui.recipe.library.packaged", lambda: gallery.root.parent / "none")
    recipes = gallery.root.parent / "recipes"
    recipes.mkdir()
    (recipes / "mine.toml").write_text(study_text)

    async def visiting(pilot: Pilot[None]) -> AsyncIterator[str]:
        app = pilot.app
        assert isinstance(app, ImbtuiApp)
        for name, (keys, sign) in PLACES.items():
            app.screen.query_one("RunsTable").select(RUN)  # type: ignore[attr-defined]
            for key in keys:
                await pilot.press(key)
            deadline = time.monotonic() + PATIENCE
            while sign not in (text := shown(pilot)) or "reading" in text:
                assert time.monotonic() < deadline, f'{name}: "{sign}" does not show:\n{text}'
                await pilot.pause(0.1)
            yield name
            while len(app.screen_stack) > 2:
                app.pop_screen()
            await pilot.press("escape", "escape")
            if name == "groups":
                await pilot.press("v")
            await pilot.pause()

    return visiting


def texts(app: ImbtuiApp) -> list[tuple[str, Style]]:
    """Return the pieces of text that say something, with their styles; not those dimmed below a dialog."""
    strips = app.screen._compositor.render_inline(app.screen.size, app._background_screens).strips
    regions = [app.screen.region]
    if isinstance(app.screen, ModalScreen):
        regions = [child.region for child in app.screen.children if child.display]
    return [
        (segment.text, segment.style or Style())
        for region in regions
        for strip in strips[region.y : region.bottom]
        for segment in strip.crop(region.x, region.right)
        if any(character.isalnum() for character in segment.text)
    ]


def luminance(style: Style, *, ground: bool) -> float:
    """Return the relative luminance of a style's colour, as WCAG defines it."""
    colour = style.bgcolor if ground != bool(style.reverse) else style.color
    assert colour is not None and colour.triplet is not None, style
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour.triplet.normalized]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(style: Style) -> float:
    """Return the contrast ratio of a text and its ground."""
    lighter, darker = sorted((luminance(style, ground=False), luminance(style, ground=True)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


async def test_every_screen_can_be_read_and_drawn_in_ascii(
    gallery: RunsPaths, visit: Any, opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The themes take turns, since a change takes its time; each of them everywhere is a slow test."""
    monkeypatch.setenv("IMBTUI_ASCII", "1")
    faint: dict[str, list[str]] = {}
    stray: dict[str, set[str]] = {}
    turns = itertools.cycle(THEMES)
    async with opened(gallery, (100, 30)) as (app, pilot):
        async for place in visit(pilot):
            app.theme = next(turns).name
            await pilot.pause()
            if bad := {text for text, style in texts(app) if not is_readable(style)}:
                faint[f"{place}, {app.theme}"] = sorted(bad)
            strips = app.screen._compositor.render_inline(app.screen.size, app._background_screens).strips
            if found := {c for strip in strips for segment in strip for c in segment.text if not c.isascii()}:
                stray[place] = found
    assert not faint
    assert not stray


@pytest.mark.slow
@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
async def test_every_screen_can_be_read_in_every_theme(
    gallery: RunsPaths, visit: Any, opened: Any, theme: Theme
) -> None:
    faint: dict[str, list[str]] = {}
    async with opened(gallery, (100, 30)) as (app, pilot):
        app.theme = theme.name
        async for place in visit(pilot):
            if bad := {text for text, style in texts(app) if not is_readable(style)}:
                faint[place] = sorted(bad)
    assert not faint


def is_readable(style: Style) -> bool:
    """Whether a text stands out from its ground."""
    if ColorType.TRUECOLOR in (style.color and style.color.type, style.bgcolor and style.bgcolor.type):
        return contrast(style) >= LEAST_CONTRAST
    # How the terminal shows its own colours is unknown: text stands on its own ground, or both are swapped.
    return style.bgcolor is None or style.bgcolor.is_default


def test_the_line_under_the_cursor_can_be_read_whatever_stands_on_it() -> None:
    ground = Style.parse("on #31465f")
    assert selected(Style.parse("bold #ffffff on #000000"), ground) == Style.parse("bold #ffffff on #31465f")
    assert selected(Style.parse("bold blue"), Style.parse("on blue")) == Style(reverse=True, bold=True)


def test_every_sign_that_is_written_has_a_like_in_ascii() -> None:
    package = Path(imbtui.__file__).parent
    signs = {c for path in package.rglob("*.py") for c in path.read_text("utf-8") if not c.isascii()}
    assert signs > set("─●…±")
    assert {sign for sign in signs if ascii_text(sign) == "?"} == set()


async def test_without_colours_the_chosen_recipe_and_a_launch_that_cannot_be_still_show(
    runs: RunsPaths, recipes: Path, opened: Any, wait: Any, shown: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    def styles(pilot: Any, text: str) -> list[Any]:
        strips = pilot.app.screen._compositor.render_inline(pilot.app.screen.size).strips
        return [segment.style for strip in strips for segment in strip if text in segment.text]

    async with opened(runs) as (_, pilot):
        await pilot.press("n")
        await wait(pilot, lambda: "quickstart " in shown(pilot))
        await pilot.press(*"broken")
        await wait(pilot, lambda: any(style.underline for style in styles(pilot, "broken ")))
        await pilot.press("enter")
        await wait(pilot, lambda: "cannot be launched" in shown(pilot))
        await wait(pilot, lambda: any(style.strike for style in styles(pilot, "Launch")))
