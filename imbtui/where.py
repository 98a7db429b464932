"""The filter language of `--where` and of the dashboard's search field.

    state == finished and loss.name == ldam and test/balanced_accuracy > 0.8
    tag = baseline and not (seed in [0, 1] or name ~ drw)
    drw

Keys are fields of a run (`state`, `arm`, `tag` ...), dotted keys of its recipe (`methods.class_weights.
start_epoch`) or metrics, which carry a slash (`test/accuracy`: the last value). A word without an operator
is looked for in id, study, arm, title and tags. What a run does not have equals nothing.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imbtui.errors import UserError, did_you_mean

TEXT_FIELDS = (
    "id",
    "state",
    "reason",
    "study",
    "variant",
    "title",
    "paper",
    "arm",
    "digest",
    "note",
    "created",
    "host",
)
NUMBER_FIELDS = ("seed", "attempt", "priority", "seconds", "steps", "epochs", "fit_epoch")
FIELDS = (*TEXT_FIELDS, *NUMBER_FIELDS, "tags", "tag", "name")
STATES = ("queued", "running", "finished", "stopped", "failed", "crashed")
SEARCHED = ("id", "study", "arm", "title", "tags")
PLUGIN_TABLES = ("dataset", "model", "loss", "optimizer", "schedule")
PLUGIN_LISTS = ("corruptions", "methods", "probes")
TABLES = (*PLUGIN_TABLES, *PLUGIN_LISTS, "augmentation", "train", "launch")
WORDS = (*FIELDS, *PLUGIN_TABLES, *PLUGIN_LISTS, "split_seed")

_SYMBOLS = ("==", "!=", "<=", ">=", "!~", "=", "<", ">", "~")
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<symbol>==|!=|<=|>=|!~|[=<>~()\[\],])
      | (?P<quoted>"[^"]*"|'[^']*')
      | (?P<word>[\w./@:+%-]+)
    )""",
    re.VERBOSE,
)
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_DEEPEST = 50


class Node:
    """A part of an expression; call it with a run (a `RunView`, or a mapping with its fields)."""

    def __call__(self, run: Any) -> bool:
        """Whether the run satisfies it."""
        raise NotImplementedError


@dataclass(frozen=True)
class Both(Node):
    """All members hold; without members it always does."""

    members: tuple[Node, ...]

    def __call__(self, run: Any) -> bool:
        return all(member(run) for member in self.members)


@dataclass(frozen=True)
class Either(Node):
    """One of the members holds."""

    members: tuple[Node, ...]

    def __call__(self, run: Any) -> bool:
        return any(member(run) for member in self.members)


@dataclass(frozen=True)
class Not(Node):
    """The member does not hold."""

    member: Node

    def __call__(self, run: Any) -> bool:
        return not self.member(run)


@dataclass(frozen=True)
class Comparison(Node):
    """What a run has under a key passes a test."""

    key: str
    test: Callable[[Any], bool]

    def __call__(self, run: Any) -> bool:
        return self.test(lookup(run, self.key))


@dataclass(frozen=True)
class Word(Node):
    """A word, in small letters, is in one of the texts that are searched."""

    word: str

    def __call__(self, run: Any) -> bool:
        found = [_field(run, name) for name in SEARCHED]
        texts = [text for value in found for text in (value if isinstance(value, list | tuple) else [value])]
        return any(self.word in str(text).lower() for text in texts if text is not None)


@dataclass(frozen=True)
class Filter:
    """A parsed expression; call it with a run.

    Attributes:
        text: as written.
        keys: what it looks at, so that a caller knows whether listing fields suffice.
        whole: its outermost part.
    """

    text: str
    keys: frozenset[str]
    whole: Node

    def __call__(self, run: Any) -> bool:
        """Whether the run (a `RunView`, or a mapping with its fields) satisfies the expression."""
        return self.whole(run)


def parse(expression: str, *, where: str = "--where") -> Filter:
    """Read an expression; an empty one is satisfied by every run.

    Args:
        expression: the text.
        where: named in errors, before the column.

    Raises:
        UserError: it cannot be read, with the column and what would be right.
    """
    if not expression.strip():
        return Filter(expression, frozenset(), Both(()))
    parser = _Parser(expression, where)
    whole = parser.whole()
    return Filter(expression, frozenset(parser.keys), whole)


def check_key(key: str, *, where: str = "") -> None:
    """Make sure that a key can mean something, whatever runs there are.

    Raises:
        UserError: it is no field, no recipe table and no metric.
    """
    head, dot, _ = key.partition(".")
    if "/" in key or (head in TABLES if dot else key in WORDS):
        return
    hint = did_you_mean(head, list(TABLES if dot else WORDS))
    raise UserError(f'"{key}" is no field of a run, no recipe key and no metric', where=where, hint=hint)


def lookup(run: Any, key: str) -> Any:
    """Return what a run has under a key, or None.

    Args:
        run: a `RunView`, or a mapping with its fields.
        key: a field, a dotted recipe key (list members by plug-in name; a plug-in's table alone gives its
            name, a list of them their names, a list member alone true), or a metric's name.
    """
    if "/" in key:
        return (_field(run, "metrics") or {}).get(key)
    if key in ("tag", "tags"):
        return list(_field(run, "tags") or ())
    if key == "name":
        return _field(run, "arm") or _field(run, "id")
    if key in FIELDS:
        return _field(run, key)
    point = _field(run, "point") or {}
    if key in point:
        return point[key]
    return recipe_value(_field(run, "recipe") or {}, key)


def recipe_value(recipe: Mapping[str, Any], key: str) -> Any:
    """Return what a resolved recipe's tables hold under a dotted key, or None; see `lookup`."""
    head, *rest = key.split(".")
    value = recipe.get(head)
    if head in PLUGIN_LISTS:
        members = {m.get("name"): m for m in value or () if isinstance(m, Mapping)}
        if not rest:
            return list(members)
        # A plug-in from outside the package carries dots in its name.
        for length in range(len(rest), 0, -1):
            member = members.get(".".join(rest[:length]))
            if member is not None:
                return _inside(member, rest[length:]) if rest[length:] else True
        return None
    if not rest and head in PLUGIN_TABLES and isinstance(value, Mapping):
        return value.get("name")
    return _inside(value, rest)


def _inside(value: Any, parts: Sequence[str]) -> Any:
    for part in parts:
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def _field(run: Any, name: str) -> Any:
    return run.get(name) if isinstance(run, Mapping) else getattr(run, name, None)


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    column: int


class _Parser:
    """Recursive descent: or, and, not, parentheses, comparison or word."""

    def __init__(self, expression: str, where: str) -> None:
        self.where = where
        self.tokens = list(self._tokens(expression))
        self.position = 0
        self.depth = 0
        self.keys: set[str] = set()

    def _tokens(self, text: str) -> list[_Token]:
        found = []
        position = 0
        while position < len(text.rstrip()):
            match = _TOKEN.match(text, position)
            if match is None or match.lastgroup is None:
                column = position + len(text[position:]) - len(text[position:].lstrip()) + 1
                character = text[column - 1]
                hint = (
                    "A quote is not closed."
                    if character in "\"'"
                    else 'Put text with such characters in "quotes".'
                )
                raise UserError(f"{character!r} cannot be read", where=self._place(column), hint=hint)
            found.append(_Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup) + 1))
            position = match.end()
        return [*found, _Token("end", "", len(text) + 1)]

    def _place(self, column: int) -> str:
        return f"{self.where}, column {column}"

    @property
    def token(self) -> _Token:
        return self.tokens[self.position]

    def whole(self) -> Node:
        node = self._either()
        if self.token.kind != "end":
            raise self._wrong('expected "and" or "or"')
        return node

    def _either(self) -> Node:
        members = [self._both()]
        while self._takes("or"):
            members.append(self._both())
        return members[0] if len(members) == 1 else Either(tuple(members))

    def _both(self) -> Node:
        members = [self._negated()]
        while self._takes("and"):
            members.append(self._negated())
        return members[0] if len(members) == 1 else Both(tuple(members))

    def _negated(self) -> Node:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise self._wrong("the expression is nested too deeply")
        try:
            if self._takes("not"):
                return Not(self._negated())
            if self._takes("("):
                inner = self._either()
                if not self._takes(")"):
                    raise self._wrong('expected ")"')
                return inner
            return self._comparison()
        finally:
            self.depth -= 1

    def _comparison(self) -> Node:
        left = self.token
        if left.kind not in ("word", "quoted") or left.text in ("and", "or", "in"):
            raise self._wrong("expected a key or a word")
        self.position += 1
        sign = self.token
        if sign.kind == "symbol" and sign.text in _SYMBOLS:
            self.position += 1
            key = self._key(left)
            if sign.text in _ORDER:
                return self._ordered(key, sign.text)
            if sign.text in ("~", "!~"):
                return _contains(key, self._written(), wanted=sign.text == "~")
            return _among(key, [self._value(key)], wanted=sign.text != "!=")
        negated = sign.text == "not" and sign.kind == "word" and self.tokens[self.position + 1].text == "in"
        if sign.kind == "word" and (sign.text == "in" or negated):
            self.position += 2 if negated else 1
            key = self._key(left)
            return _among(key, self._list(key), wanted=not negated)
        self.keys.update(SEARCHED)
        return Word(_unquoted(left.text).lower())

    def _key(self, token: _Token) -> str:
        key = _unquoted(token.text)
        check_key(key, where=self._place(token.column))
        self.keys.add(key)
        return key

    def _ordered(self, key: str, sign: str) -> Node:
        token = self.token
        bound = self._value(key)
        is_number = isinstance(bound, int | float) and not isinstance(bound, bool)
        if not is_number and ("/" in key or key in NUMBER_FIELDS or not isinstance(bound, str)):
            raise UserError(
                f'"{key} {sign}" needs a number, not "{_unquoted(token.text)}"',
                where=self._place(token.column),
            )
        compare = _ORDER[sign]
        kinds = (int, float) if is_number else (str,)

        def test(value: Any) -> bool:
            return isinstance(value, kinds) and not isinstance(value, bool) and compare(value, bound)

        return Comparison(key, test)

    def _list(self, key: str) -> list[Any]:
        if not self._takes("["):
            raise self._wrong('expected a list after "in"', hint="Write e.g. seed in [0, 1].")
        values = []
        while not self._takes("]"):
            values.append(self._value(key))
            if not self._takes(",") and self.token.text != "]":
                raise self._wrong('expected "," or "]"')
        return values

    def _written(self) -> str:
        token = self.token
        if token.kind not in ("word", "quoted"):
            raise self._wrong("expected a value")
        self.position += 1
        return _unquoted(token.text)

    def _value(self, key: str) -> Any:
        token = self.token
        text = self._written()
        if key == "state" and text not in STATES:
            place = self._place(token.column)
            raise UserError(f'there is no state "{text}"', where=place, hint=did_you_mean(text, list(STATES)))
        if token.kind == "quoted":
            return text
        if text == "none":
            return None
        # A digest such as 12e4 is text.
        if key in TEXT_FIELDS or key in ("tag", "tags", "name"):
            return text
        if _NUMBER.fullmatch(text):
            return int(text) if text.lstrip("+-").isdecimal() else float(text)
        return {"true": True, "false": False}.get(text, text)

    def _takes(self, text: str) -> bool:
        if self.token.text == text and self.token.kind in ("word", "symbol"):
            self.position += 1
            return True
        return False

    def _wrong(self, sentence: str, *, hint: str = "") -> UserError:
        found = f'before "{self.token.text}"' if self.token.kind != "end" else "at the end"
        return UserError(f"{sentence} {found}", where=self._place(self.token.column), hint=hint or _HINT)


_HINT = 'Write e.g. state == finished and test/accuracy > 0.8, joined by "and", "or", "not".'


def _unquoted(text: str) -> str:
    return text[1:-1] if text[:1] in "\"'" else text


def _among(key: str, choices: list[Any], *, wanted: bool) -> Node:
    def test(value: Any) -> bool:
        values = value if isinstance(value, list) else [value]
        if not values and None in choices:
            return wanted
        return wanted == any(equal(v, c) for v in values for c in choices)

    return Comparison(key, test)


def _contains(key: str, part: str, *, wanted: bool) -> Node:
    low = part.lower()

    def test(value: Any) -> bool:
        values = value if isinstance(value, list) else [value]
        return wanted == any(v is not None and low in _shown(v).lower() for v in values)

    return Comparison(key, test)


def equal(value: Any, choice: Any) -> bool:
    """Whether a run's value is the one somebody wrote; text compares with numbers by its spelling."""
    if isinstance(value, bool) or isinstance(choice, bool) or value is None or choice is None:
        return value is choice
    if isinstance(value, int | float) and isinstance(choice, int | float):
        return math.isclose(value, choice, rel_tol=1e-12, abs_tol=0.0)
    return _shown(value) == _shown(choice)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
