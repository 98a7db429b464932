"""A run's log: followed at its end, and searched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from imbtui.text import plural
from imbtui.tui.widgets.filter_line import FilterLine
from imbtui.tui.widgets.lines import Line, Lines
from imbtui.tui.widgets.typed_line import TypedLine

if TYPE_CHECKING:
    from imbtui.tui.app import ImbtuiApp


class LogPane(Vertical):
    """Lines with what is searched for standing out."""

    app: ImbtuiApp
    TITLE = "Log"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "search", id="log.search", tooltip="Search the log."),
        Binding("enter", "keep", "to the log", id="log.keep", tooltip="Keep what is searched for."),
        Binding("n", "hit(1)", "next hit", id="log.hit", tooltip="The next line that has it."),
        Binding("N", "hit(-1)", "hit before", show=False, id="log.hit_before", tooltip="The line before."),
        Binding("escape", "end", "end", id="log.back", tooltip="Search no longer."),
        Binding("w", "write", "copy", show=False, id="log.write", tooltip="Copy the lines of the log."),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._lines: Sequence[str] = ()
        self._line = TypedLine("what to look for")
        self._hits: list[int] = []
        self._at = -1

    def compose(self) -> ComposeResult:
        yield _LogLines(self._line, self._typed)
        yield FilterLine(self._line)

    def show(self, lines: Sequence[str]) -> None:
        """Show the newest lines there are."""
        self._lines = lines
        self._draw()
        if self._at < 0:
            self._go_to_newest()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Hits are turned to, and the search ended, once something is searched for."""
        line = self._line
        if action == "hit":
            return bool(line.text) and not line.typing
        if action == "end":
            return line.typing or bool(line.text)
        return line.typing is (action == "keep") if action in ("keep", "search", "write") else True

    def action_search(self) -> None:
        self._line.show(typing=True)
        self.refresh_bindings()

    def action_keep(self) -> None:
        self._line.show(typing=False)
        self.refresh_bindings()

    def action_end(self) -> None:
        self._line.show(text="", typing=False)
        self._typed()
        self.refresh_bindings()

    def action_write(self) -> None:
        self.app.copy("\n".join(self._lines), plural(len(self._lines), "line"))

    def _typed(self) -> None:
        self._at = -1
        self._draw()
        self._go_to_newest()

    def _go_to_newest(self) -> None:
        """Go to the last hit: it is what one mostly looks for."""
        if self._hits:
            self.action_hit(-1)

    def action_hit(self, by: int) -> None:
        if not self._hits:
            return
        start = 0 if by > 0 else len(self._hits)
        self._at = (self._at + by if self._at >= 0 else start + (0 if by > 0 else by)) % len(self._hits)
        self._draw()
        lines = self.query_one(Lines)
        lines.scroll_to(y=max(0, self._hits[self._at] - lines.size.height // 2), animate=False)

    def _draw(self) -> None:
        wanted = self._line.text.lower()
        self._hits = [n for n, line in enumerate(self._lines) if wanted in line.lower()] if wanted else []
        here = self._hits[self._at] if 0 <= self._at < len(self._hits) else -1
        hits = set(self._hits)
        shown = [
            _marked(line, wanted, here=number == here) if number in hits else [(line, "text")]
            for number, line in enumerate(self._lines)
        ]
        self.query_one(Lines).show(shown or [[("the log is empty", "quiet")]], stay=bool(wanted))
        place = f"{self._at + 1} of " if here >= 0 else ""
        self._line.say(f"{place}{plural(len(self._hits), 'line')}   Esc ends" if wanted else "")


class _LogLines(Lines):
    """They keep the focus while a search is typed: what follows on the key that begins it is its text."""

    def __init__(self, line: TypedLine, typed: Callable[[], None]) -> None:
        super().__init__(id="log-text", follow=True)
        self._line, self._typed = line, typed

    def take_key(self, event: events.Key) -> bool:
        """Take a key that edits what is searched for; return whether it does."""
        before = self._line.text
        taken = self._line.typing and self._line.edit(event)
        if self._line.text != before:
            self._typed()
        return taken

    def check_consume_key(self, key: str, character: str | None) -> bool:
        return self._line.typing and character is not None and character.isprintable()

    def on_paste(self, event: events.Paste) -> None:
        if self._line.typing:
            event.stop()
            self._line.insert(event.text)
            self._typed()


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
