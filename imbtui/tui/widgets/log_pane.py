"""A run's log: followed at its end, and searched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Static

from imbtui.text import plural
from imbtui.tui.widgets.lines import Line, Lines


class SearchInput(Input):
    """What is searched for."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,down", "submit", "to the log", id="log.keep", tooltip="Keep what is searched for."),
        Binding("escape", "screen.end_search", "end", id="log.back", tooltip="Search no longer."),
    ]


class LogPane(Vertical):
    """Lines with what is searched for standing out."""

    TITLE = "Log"
    DEFAULT_CSS = """
    LogPane > #log-search { display: none; height: 1; layout: horizontal; background: $surface; }
    LogPane.-searching > #log-search { display: block; }
    LogPane #log-search > Input { width: 1fr; background: $surface; }
    LogPane #log-search > Static { width: auto; padding: 0 1; color: $text-muted; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "search", id="log.search", tooltip="Search the log."),
        Binding("n", "hit(1)", "next hit", id="log.next", tooltip="The next line that has it."),
        Binding("N", "hit(-1)", "hit before", show=False, id="log.previous", tooltip="The line before."),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._lines: Sequence[str] = ()
        self._wanted = ""
        self._hits: list[int] = []
        self._at = -1

    def compose(self) -> ComposeResult:
        yield Lines(id="log-text", follow=True)
        with Vertical(id="log-search"):
            yield SearchInput(placeholder="search the log", compact=True, select_on_focus=False)
            yield Static(id="log-said", markup=False)

    def show(self, lines: Sequence[str]) -> None:
        """Show the newest lines there are."""
        self._lines = lines
        self._draw()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Letters that are typed into the search mean themselves."""
        return not (action in ("search", "hit") and isinstance(self.screen.focused, Input))

    def action_search(self) -> None:
        self.add_class("-searching")
        self.query_one(Input).focus()

    def end_search(self) -> bool:
        """Search no longer; return whether anything was searched for."""
        if not self.has_class("-searching"):
            return False
        self.remove_class("-searching")
        self.query_one(Input).value = ""
        self.query_one(Lines).focus()
        return True

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._wanted, self._at = event.value.lower(), -1
        self._draw()
        if self._hits:
            self.action_hit(-1)  # the newest is what one mostly looks for

    @on(Input.Submitted)
    def _kept(self) -> None:
        self.query_one(Lines).focus()

    def action_hit(self, by: int) -> None:
        if not self._hits:
            return
        start = 0 if by > 0 else len(self._hits)
        self._at = (self._at + by if self._at >= 0 else start + (0 if by > 0 else by)) % len(self._hits)
        self._draw()
        lines = self.query_one(Lines)
        lines.scroll_to(y=max(0, self._hits[self._at] - lines.size.height // 2), animate=False)

    def _draw(self) -> None:
        wanted = self._wanted
        self._hits = [n for n, line in enumerate(self._lines) if wanted in line.lower()] if wanted else []
        here = self._hits[self._at] if 0 <= self._at < len(self._hits) else -1
        hits = set(self._hits)
        shown = [
            _marked(line, wanted, here=number == here) if number in hits else [(line, "text")]
            for number, line in enumerate(self._lines)
        ]
        lines = self.query_one(Lines)
        lines.show(shown or [[("the log is empty", "quiet")]], stay=bool(wanted))
        place = f"{self._at + 1} of " if here >= 0 else ""
        said = f"{place}{plural(len(self._hits), 'line')}   Esc ends" if wanted else ""
        self.query_one("#log-said", Static).update(said)


def _marked(line: str, wanted: str, *, here: bool) -> Line:
    """Return a line with each place of what is wanted standing out."""
    pieces: list[tuple[str, str]] = []
    rest, start = line, 0
    while (found := rest.lower().find(wanted, start)) >= 0:
        pieces += [
            (rest[start:found], "text"),
            (rest[found : found + len(wanted)], "here" if here else "found"),
        ]
        start = found + len(wanted)
    return [*pieces, (rest[start:], "text")]
