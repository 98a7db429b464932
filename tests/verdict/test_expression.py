"""Metric expressions: what they compute, and that nothing else gets through."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imbtui.errors import UserError
from imbtui.verdict.expression import Reference, parse

VALUES = {"test/accuracy": 0.8, "train/accuracy": 1.0, "x": 4.0, "zero": 0.0}


def value(text: str) -> float:
    return parse(text).evaluate(lambda reference: VALUES[reference.name])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("test/accuracy", 0.8),
        ("  test/accuracy ", 0.8),
        ('m("train/accuracy") - m("test/accuracy")', 0.2),
        ('-m("x") ** 2', -16.0),
        ('2 * (m("x") + 1) / 5', 2.0),
        ('abs(-m("x")) + sqrt(m("x")) + log(exp(m("x")))', 10.0),
        ('min(m("x"), 1, 3) + max(m("x"), 1)', 5.0),
        ('m("x") ** 0.5', 2.0),
        ('spearman(1, m("x"), 2, 10, 30, 20)', 1.0),
        ('spearman(1, m("x"), 2, 0, 30, 30, 10, 10)', 0.2**0.5),
        ("+m('x')", 4.0),
    ],
)
def test_values(text: str, expected: float) -> None:
    assert value(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    "text",
    [
        '1 / m("zero")',
        'log(m("zero"))',
        '(0 - m("x")) ** 0.5',
        '10 ** 10 ** m("x")',
        'max(m("x"), 0 * (1 / m("zero")))',
        'spearman(m("x"), m("x"), m("x"), 1, 2, 3)',
    ],
)
def test_impossible_arithmetic_is_not_a_number(text: str) -> None:
    assert math.isnan(value(text))


def test_nan_is_not_passed_over() -> None:
    for text in ('max(1, m("x"))', 'max(m("x"), 1)', 'min(1, m("x"))'):
        assert math.isnan(parse(text).evaluate(lambda reference: math.nan))


def test_references() -> None:
    found = parse(
        'm("a/b", arm="CE", at="epoch:8", stage="level-6") / reach("c", ">= 0.9", arm="X")'
    ).references
    assert found == (
        Reference("a/b", arm="CE", at="epoch:8", stage="level-6"),
        Reference("c", arm="X", comparison=">= 0.9"),
    )
    assert parse("probe-x/a@b.c").references == (Reference("probe-x/a@b.c"),)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "cannot be read"),
        ("test/accuracy - 1", "Write a metric such as"),
        ("1 + 2", "names no metric"),
        ('m("x"', "cannot be read"),
        ('m("x") - "CE"', "cannot stand"),
        ('m("x") if 1 else 2', "cannot stand"),
        ('m("x").real', "cannot stand"),
        ('m("x")[0]', "cannot stand"),
        ('m("x") // 2', "cannot stand"),
        ('m("x") == 2', "cannot stand"),
        ('m("x") + True', "cannot stand"),
        ('__import__("os").system("true")', "cannot stand"),
        ('open("/etc/passwd")', "no function of metric expressions"),
        ('sqr(m("x"))', 'Did you mean "sqrt"'),
        ('sqrt(m("x"), 2)', "takes one value"),
        ('spearman(m("x"), 1, 2, 3, 4)', "takes two lists of values"),
        ('max(m("x"))', "at least two"),
        ("m(x)", "as text in quotes"),
        ('m(*["x"])', "as text in quotes"),
        ('m("x", "CE")', "takes 1 value"),
        ('m("x", arms="CE")', 'Did you mean "arm"'),
        ('m("x", **{})', "no key"),
        ('m("x", at="lasst")', "does not say which value"),
        ('m("a b")', "not the name of a metric"),
        ('reach("x")', "takes 2 values"),
        ('reach("x", "about 3")', "not a comparison"),
        ('reach("x", "> 3", at="last")', "no key"),
        ("m('x')" + "+1" * 2000, "longer than"),
        ("(" * 300 + "m('x')" + ")" * 300, "cannot be read|nested"),
    ],
)
def test_mistakes(text: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        parse(text, where="claims")


def test_a_mistake_names_its_column() -> None:
    with pytest.raises(UserError, match=r"^claims, column 8: "):
        parse('1 +    sqr(m("x"))', where="claims")


@given(st.text(alphabet="mreach(x\"') +-*/.12,=[]{}:@", max_size=40))
def test_every_text_is_an_expression_or_a_user_error(text: str) -> None:
    try:
        parsed: Any = parse(text)
    except UserError:
        return
    assert isinstance(parsed.evaluate(lambda reference: 1.0), float)
