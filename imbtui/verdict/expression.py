"""Metric expressions of claims: a small parsed grammar, never evaluated by Python.

    test/accuracy
    m("train/accuracy") - m("test/accuracy")
    m("test/accuracy", arm = "CE", at = "best", stage = "level-6") / reach("test/accuracy", ">= 0.9")

A text that is one word is a metric's name (`test/accuracy` is no division). Anything else is arithmetic
(`+ - * / **`, `abs log exp sqrt min max spearman`, numbers) over `m(NAME, arm=, at=, stage=)` and
`reach(NAME, COMPARISON, arm=, stage=)`; what is left out is taken from the claim.
`spearman(a, b, ..., x, y, ...)` is the rank correlation of the first half of its values with the second.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from dataclasses import dataclass

from imbtui.errors import UserError, did_you_mean
from imbtui.metrics import NAME, Reader, Run, parse_at, parse_comparison

LONGEST = 4000


def _spearman(*values: float) -> float:
    from scipy.stats import rankdata

    ranks = rankdata([values[: len(values) // 2], values[len(values) // 2 :]], axis=1)
    x, y = (row - row.mean() for row in ranks)
    scale = math.sqrt(float(x @ x) * float(y @ y))
    return float(x @ y) / scale if scale else math.nan


_FUNCTIONS: dict[str, Callable[..., float]] = {
    "abs": math.fabs,
    "log": math.log,
    "exp": math.exp,
    "sqrt": math.sqrt,
    "min": min,
    "max": max,
    "spearman": _spearman,
}
_OPERATIONS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    # math.pow stays within the real numbers and overflows instead of growing for ever.
    ast.Pow: math.pow,
}
_KEYWORDS = {"m": ("arm", "at", "stage"), "reach": ("arm", "stage")}


@dataclass(frozen=True)
class Reference:
    """A value of a run that an expression asks for.

    Attributes:
        name: the metric.
        arm, stage: None: the claim's.
        at: None: the claim's.
        comparison: set for `reach`: the first step at which it is satisfied is meant.
    """

    name: str
    arm: str | None = None
    at: str | None = None
    stage: str | None = None
    comparison: str | None = None

    def read(self, run: Run, reader: Reader, *, at: str, stage: str | None) -> float:
        """Return the value of a run.

        Args:
            at, stage: what is meant where the expression does not say it.

        Raises:
            NotMeasured: the run does not hold it.
            UserError: `at` is no selector.
        """
        stage = stage if self.stage is None else self.stage
        if self.comparison is not None:
            return reader.reach(run, self.name, self.comparison, stage)
        return reader.value(run, self.name, self.at or at, stage)


@dataclass(frozen=True)
class Expression:
    """A parsed metric expression."""

    text: str
    references: tuple[Reference, ...]
    _root: Reference | ast.expr
    _calls: dict[ast.expr, Reference]

    def evaluate(self, lookup: Callable[[Reference], float]) -> float:
        """Return the expression's value; `nan` where the arithmetic has none (a division by zero).

        Args:
            lookup: gives the value of a reference; its exceptions pass through.
        """
        if isinstance(self._root, Reference):
            return lookup(self._root)
        try:
            return self._value(self._root, lookup)
        except (ArithmeticError, ValueError):
            return math.nan

    def _value(self, node: ast.expr, lookup: Callable[[Reference], float]) -> float:
        if node in self._calls:
            return lookup(self._calls[node])
        match node:
            case ast.Constant(value=int() | float() as number):
                return float(number)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self._value(operand, lookup)
            case ast.UnaryOp(operand=operand):
                return self._value(operand, lookup)
            case ast.BinOp(left=left, op=operator, right=right):
                return _OPERATIONS[type(operator)](self._value(left, lookup), self._value(right, lookup))
            case ast.Call(func=ast.Name(id=name), args=arguments):
                values = [self._value(a, lookup) for a in arguments]
                # min and max of Python pass over nan, depending on the order.
                return math.nan if any(map(math.isnan, values)) else _FUNCTIONS[name](*values)
        raise AssertionError("the parser lets nothing else through")


def parse(text: str, *, where: str = "") -> Expression:
    """Read a metric expression.

    Raises:
        UserError: it is none, with where it fails and what would be right.
    """
    stripped = text.strip()
    if NAME.fullmatch(stripped):
        reference = Reference(stripped)
        return Expression(stripped, (reference,), reference, {})
    if len(stripped) > LONGEST:
        raise UserError(f"the expression is longer than {LONGEST} characters", where=where)
    try:
        root = ast.parse(stripped, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        place = f" at column {error.offset}" if isinstance(error, SyntaxError) and error.offset else ""
        raise UserError(f'"{stripped}" cannot be read{place}', where=where, hint=_HINT) from None
    calls: dict[ast.expr, Reference] = {}
    try:
        _check(root, calls, stripped, where)
    except RecursionError:
        raise UserError("the expression is nested too deeply", where=where) from None
    if not calls:
        raise UserError(f'"{stripped}" names no metric', where=where, hint=_HINT)
    return Expression(stripped, tuple(calls.values()), root, calls)


_HINT = 'Write a metric such as test/accuracy, or arithmetic over m("test/accuracy", arm = "CE").'


def _check(node: ast.expr, calls: dict[ast.expr, Reference], text: str, where: str) -> None:
    match node:
        case ast.Constant(value=value) if isinstance(value, int | float) and not isinstance(value, bool):
            return
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            _check(operand, calls, text, where)
            return
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OPERATIONS:
            _check(left, calls, text, where)
            _check(right, calls, text, where)
            return
        case ast.Call(func=ast.Name(id="m" | "reach")):
            calls[node] = _reference(node, text, where)
            return
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in _FUNCTIONS:
            takes = _takes(name, len(arguments))
            if takes:
                raise UserError(f"{name}() takes {takes}", where=_place(where, node))
            for argument in arguments:
                _check(argument, calls, text, where)
            return
        case ast.Call(func=ast.Name(id=name)):
            hint = did_you_mean(name, ["m", "reach", *_FUNCTIONS])
            raise UserError(
                f'"{name}" is no function of metric expressions', where=_place(where, node), hint=hint
            )
    part = ast.get_source_segment(text, node) or text
    raise UserError(f'"{part}" cannot stand in a metric expression', where=_place(where, node), hint=_HINT)


def _takes(function: str, given: int) -> str:
    """Return what a function takes instead of so many values; empty when it takes them."""
    if function == "spearman":
        right = given >= 6 and given % 2 == 0
        return (
            "" if right else "two lists of values one behind the other, each of the same three or more things"
        )
    if function in ("min", "max"):
        return "" if given >= 2 else "at least two values"
    return "" if given == 1 else "one value"


def _reference(call: ast.Call, text: str, where: str) -> Reference:
    function = call.func.id if isinstance(call.func, ast.Name) else ""
    place = _place(where, call)
    count = 1 if function == "m" else 2
    words = [_text(a, place) for a in call.args]
    if len(words) != count:
        form = 'm("test/accuracy")' if count == 1 else 'reach("test/accuracy", ">= 0.9")'
        raise UserError(
            f"{function}() takes {count} value{'s' * (count > 1)} without a key",
            where=place,
            hint=f"Write {form}.",
        )
    given: dict[str, str] = {}
    for keyword in call.keywords:
        allowed = list(_KEYWORDS[function])
        if keyword.arg not in allowed:
            raise UserError(
                f'{function}() has no key "{keyword.arg}"',
                where=place,
                hint=did_you_mean(keyword.arg or "", allowed),
            )
        given[keyword.arg] = _text(keyword.value, place)
    if not NAME.fullmatch(words[0]):
        raise UserError(
            f'"{words[0]}" is not the name of a metric', where=place, hint="Write e.g. test/accuracy."
        )
    if "at" in given:
        parse_at(given["at"], where=place)
    if function == "reach":
        parse_comparison(words[1], where=place)
        return Reference(words[0], comparison=words[1], **given)
    return Reference(words[0], **given)


def _text(node: ast.expr, where: str) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    raise UserError(
        "a name must be given as text in quotes", where=where, hint='Write e.g. m("test/accuracy").'
    )


def _place(where: str, node: ast.expr) -> str:
    return ", ".join(part for part in (where, f"column {node.col_offset + 1}") if part)
