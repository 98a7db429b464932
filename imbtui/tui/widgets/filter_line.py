"""A line of text that is typed without having the focus."""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.strip import Strip

from imbtui.tui.widgets.kept import Kept


class FilterLine(Kept):
    """A filter with its cursor, and what is said of it on the right.

    Whoever has the focus passes its keys on while `typing`. A field that took the focus would get only what
    is typed after it has it: letters typed at once would have gone elsewhere.

    Attributes:
        text: the filter.
        typing: whether keys edit it.
    """

    DEFAULT_CSS = """
    FilterLine { display: none; height: 1; background: $surface; }
    FilterLine.-shown { display: block; }
    FilterLine > .filter-line--prompt { color: $text-primary; background: $surface; }
    FilterLine > .filter-line--text { color: $foreground; background: $surface; }
    FilterLine > .filter-line--quiet { color: $text-muted; background: $surface; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"filter-line--{name}" for name in ("prompt", "text", "quiet")}

    def __init__(self, hint: str) -> None:
        super().__init__()
        self.text = ""
        self.typing = False
        self._hint = hint
        self._said = ""
        self._cursor = 0

    def show(self, *, text: str | None = None, typing: bool | None = None) -> None:
        """Show another text, or whether it is typed; the line is there while either is the case."""
        if text is not None:
            self.text, self._cursor = text, len(text)
        self.typing = self.typing if typing is None else typing
        self.set_class(self.typing or bool(self.text), "-shown")
        self.repaint()

    def say(self, sentence: str) -> None:
        """Say something on the right."""
        if sentence != self._said:
            self._said = sentence
            self.repaint()

    def edit(self, event: events.Key) -> bool:
        """Take a key; return whether it is one that edits."""
        text, at = self.text, self._cursor
        if event.is_printable and event.character:
            self._put(text[:at] + event.character + text[at:], at + 1)
        elif event.key in ("backspace", "ctrl+h"):
            self._put(text[: max(0, at - 1)] + text[at:], at - 1)
        elif event.key == "delete":
            self._put(text[:at] + text[at + 1 :], at)
        elif event.key == "ctrl+w":
            kept = text[:at].rstrip()
            kept = kept[: kept.rfind(" ") + 1]
            self._put(kept + text[at:], len(kept))
        elif event.key == "ctrl+u":
            self._put(text[at:], 0)
        elif event.key in ("left", "right"):
            self._put(text, at + (1 if event.key == "right" else -1))
        elif event.key in ("home", "ctrl+a", "end", "ctrl+e"):
            self._put(text, 0 if event.key in ("home", "ctrl+a") else len(text))
        else:
            return False
        return True

    def insert(self, text: str) -> None:
        """Insert text at the cursor; line breaks become spaces."""
        words, at = " ".join(text.splitlines()), self._cursor
        self._put(self.text[:at] + words + self.text[at:], at + len(words))

    def _put(self, text: str, cursor: int) -> None:
        self.text, self._cursor = text, max(0, min(len(text), cursor))
        self.repaint()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        plain, quiet, prompt = (self.style_of(f"filter-line--{name}") for name in ("text", "quiet", "prompt"))
        said = f"  {self._said} " if self._said else ""
        room = max(8, width - 3 - cell_len(said))
        # The cursor stays in sight: a long text loses its beginning.
        start = next(s for s in range(self._cursor + 1) if cell_len(self.text[s : self._cursor]) < room)
        shown, at = self.text[start:], self._cursor - start
        if not self.text:
            shown, plain = self._hint, quiet
        shown = set_cell_size(shown, room)
        pieces = [Segment(" / ", prompt)]
        if self.typing:
            under = Segment(shown[at], plain + Style(reverse=True))
            pieces += [Segment(shown[:at], plain), under, Segment(shown[at + 1 :], plain)]
        else:
            pieces.append(Segment(shown, plain))
        return Strip([*pieces, Segment(said, quiet)]).crop_extend(0, width, quiet)
