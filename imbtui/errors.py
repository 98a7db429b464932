"""The one error a user can cause."""

from __future__ import annotations

_LISTED = 24  # known words that a hint lists: a few lines of a terminal


class UserError(Exception):
    """Something the user wrote or asked for cannot be done.

    Front ends print `str(error)` on stderr and exit with code 2; no traceback is shown, because
    the program is not at fault.

    Args:
        sentence: what is wrong, as one sentence.
        where: the file, table or key it is about, e.g. `recipe.toml, loss.name`. Printed first.
        hint: what would be right, e.g. `Did you mean "ldam"?`. Printed last.
    """

    def __init__(self, sentence: str, *, where: str = "", hint: str = "") -> None:
        self.sentence = sentence
        self.where = where
        self.hint = hint
        super().__init__(sentence)

    def __str__(self) -> str:
        head = f"{self.where}: " if self.where else ""
        stop = "" if self.sentence.endswith((".", "?", "!")) or not self.hint else "."
        tail = f"{stop} {self.hint}" if self.hint else ""
        return f"{head}{self.sentence}{tail}"


def did_you_mean(word: str, known: list[str]) -> str:
    """Return a hint that names the closest known word, or when none is close all of them, at most 24.

    Args:
        word: what the user wrote.
        known: the words that would have been right.
    """
    import difflib

    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if close:
        return f'Did you mean "{close[0]}"?'
    if not known:
        return ""
    words = sorted(set(known))
    more = f" and {len(words) - _LISTED} more" if len(words) > _LISTED else ""
    return "Known: " + ", ".join(words[:_LISTED]) + more + "."
