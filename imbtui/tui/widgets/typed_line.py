"""A line of text that is typed without having the focus."""

from __future__ import annotations

from collections.abc import Callable

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.strip import Strip

STYLES = ("filter-line--prompt", "filter-line--text", "filter-line--quiet")
"""Component classes of its parts: the prompt, what is typed, what is said."""


class TypedLine:
    """A filter with its cursor, and what is said of it on the right; a widget draws it among its lines.

    Whoever has the focus passes its keys on while `typing`. A field that took the focus would get only what
    is typed after it has it: letters typed at once would have gone elsewhere.

    Args:
        hint: what stands there while nothing is typed.

    Attributes:
        text: the filter.
        typing: whether keys edit it.
        changed: called whenever it looks different.
    """

    def __init__(self, hint: str) -> None:
        self.text = ""
        self.typing = False
        self.changed: Callable[[], None] = lambda: None
        self._hint = hint
        self._said = ""
        self._cursor = 0

    @property
    def shown(self) -> bool:
        """Whether the line is there: while it is typed, and while it has a text."""
        return self.typing or bool(self.text)

    def show(self, *, text: str | None = None, typing: bool | None = None) -> None:
        """Show another text, or whether it is typed."""
        if text is not None:
            self.text, self._cursor = text, len(text)
        self.typing = self.typing if typing is None else typing
        self.changed()

    def say(self, sentence: str) -> None:
        """Say something on the right."""
        if sentence != self._said:
            self._said = sentence
            self.changed()

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
        self.changed()

    def draw(self, width: int, style_of: Callable[[str], Style]) -> Strip:
        """Return the line.

        Args:
            width: cells.
            style_of: the style of a component class of `STYLES`.
        """
        prompt, plain, quiet = map(style_of, STYLES)
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
