"""What is written to the terminal: only cells that differ, and the same picture as if all were written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual.app import App
from textual.strip import Strip

from imbtui.paths import RunsPaths
from imbtui.tui.app import ImbtuiApp
from imbtui.tui.terminal import Changes, Written, differing

RED, BLUE = Style.parse("red"), Style.parse("blue on white")
_TOKEN = re.compile(r"\x1b\[(\d+);(\d+)H|\x1b\[([\d;]*)m|([^\x1b])", re.DOTALL)


class Screen:
    """The cells of a terminal, as far as Textual's output needs one: places, styles and text."""

    def __init__(self) -> None:
        self.cells: dict[tuple[int, int], tuple[str, str]] = {}
        self.received = 0

    def receive(self, output: str) -> None:
        self.received += len(output)
        x = y = 0
        style = ""
        for row, column, sgr, character in _TOKEN.findall(output):
            if row:
                y, x = int(row), int(column)
            elif not character:
                style = "" if sgr in ("", "0") else sgr
            elif character != "\n":
                self.cells[y, x] = (character, style)
                x += 1

    def text(self) -> str:
        lines: dict[int, str] = {}
        for (y, _), (character, _) in sorted(self.cells.items()):
            lines[y] = lines.get(y, "") + character
        return "\n".join(lines.values())


def strip(*pieces: tuple[str, Style]) -> Strip:
    return Strip([Segment(text, style) for text, style in pieces])


def test_cells_that_differ_are_found_near_ones_together() -> None:
    before = strip(("epoch 12 of 80      ", RED), ("0.5" + " " * 20 + "age", RED))
    assert differing(before, strip(("epoch 13 of 80      0.5" + " " * 20 + "age", RED))) == [(7, 8)]
    assert differing(before, strip(("epoch 34 of 90      0.5" + " " * 20 + "now", RED))) == [
        (6, 13),
        (43, 46),
    ]
    assert differing(
        before, strip(("epoch 12 of 80      ", RED), ("0.5", BLUE), (" " * 20 + "age", RED))
    ) == [(20, 23)]
    # Characters of two cells or of none: the places of those behind them are not looked for.
    assert differing(strip(("学a", RED)), strip(("学b", RED))) == [(0, 3)]
    assert differing(strip(("ab", RED)), strip(("a", RED), ("b", RED))) == []


def test_only_what_differs_is_written_and_all_of_it_where_nothing_is_known() -> None:
    written, console = Written(), Console(color_system="truecolor", force_terminal=True)
    first = strip(("epoch 12", RED))
    assert "epoch 12" in written.write(4, 2, first, console)
    assert written.write(4, 2, first, console) == written.write(4, 2, strip(("epoch 12", RED)), console) == ""
    assert (
        re.sub(r"\x1b\[[\d;]*m", "", written.write(4, 2, strip(("epoch 13", RED)), console)) == "\x1b[3;12H3"
    )
    # A piece that begins elsewhere covers those it lies over: none of them is known any more.
    assert "ch" in written.write(6, 2, strip(("ch", RED)), console)
    assert "epoch 13" in written.write(4, 2, strip(("epoch 13", RED)), console)
    written.forget()
    assert "epoch 13" in written.write(4, 2, strip(("epoch 13", RED)), console)


@pytest.fixture
def screens(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Screen, Screen]]:
    """What Textual alone would make of a terminal, and what the dashboard makes of it."""
    plain, ours = Screen(), Screen()

    def display(app: App[Any], screen: object, renderable: Any) -> None:
        if renderable is not None:
            update = renderable.update if isinstance(renderable, Changes) else renderable
            plain.receive(update.render_segments(app.console))
            ours.receive(renderable.render_segments(app.console))

    monkeypatch.setattr(App, "_display", display)
    yield plain, ours


@pytest.mark.parametrize("size", [(80, 24), (140, 40)], ids=["small", "wide"])
async def test_the_picture_is_the_same_as_if_everything_were_written(
    gallery: RunsPaths, screens: tuple[Screen, Screen], wait: Any, size: tuple[int, int]
) -> None:
    plain, ours = screens
    app = ImbtuiApp(gallery)
    async with app.run_test(size=size) as pilot:
        await wait(pilot, lambda: app.live.listed)
        for key in (
            *("down", "down", "space", "end", "up", "home", "s", "S", "v", "down", "right", "left", "v"),
            *("slash", "l", "d", "a", "m", "enter", "escape", "question_mark", "escape"),
            *("enter", "2", "3", "escape", "Q", "escape", "f2", "down", "up"),
        ):
            await pilot.press(key)
            await pilot.pause()
            assert ours.cells == plain.cells, f"after {key}:\n{ours.text()}\n\n{plain.text()}"
        await pilot.resize_terminal(100, 30)
        await pilot.pause()
        await pilot.press("down", "up")
        await pilot.pause()
    assert ours.cells == plain.cells


async def test_a_live_run_costs_the_terminal_a_few_cells(
    gallery: RunsPaths, screens: tuple[Screen, Screen], wait: Any
) -> None:
    plain, ours = screens
    app = ImbtuiApp(gallery)
    async with app.run_test(size=(120, 24)) as pilot:
        await wait(pilot, lambda: "62 %" in ours.text() and "CPU" in ours.text())
        before, would = ours.received, plain.received
        with gallery.run("rldama-ldam-drw-s0").metrics.open("a") as file:
            file.write('{"stage": "train", "step": 640, "epoch": 71, "time": 4.0, "train/loss": 0.1}\n')
        await wait(pilot, lambda: "88 %" in ours.text())
        assert ours.received - before < 150 and plain.received - would > 300
