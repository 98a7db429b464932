"""The filter language: what it selects, and what it says about mistakes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imbtui import files, folders, store, where
from imbtui.errors import UserError

LDAM: dict[str, Any] = {
    "id": "abcdef-ldam-drw-s0",
    "state": "finished",
    "study": "cao2019/quick",
    "arm": "LDAM-DRW",
    "title": "Long tails",
    "seed": 0,
    "digest": "12e4",
    "created": "2025-11-24T02:00:00+00:00",
    "tags": ("baseline", "paper"),
    "point": {"corruptions.long_tail.ratio": 100},
    "metrics": {"test/accuracy": 0.84, "test/class_accuracy": [0.9, 0.1]},
    "recipe": {
        "loss": {"name": "ldam", "max_m": 0.5},
        "train": {"batch_size": 64, "fuse": False},
        "methods": [{"name": "class_weights", "start_epoch": 48}, {"name": "mypkg.mod:thing", "rate": 0.5}],
        "corruptions": [{"name": "long_tail", "ratio": 100.0}],
    },
}
CE: dict[str, Any] = {
    "id": "bcdefg-ce-s1",
    "state": "running",
    "study": "cao2019/quick",
    "arm": "CE",
    "seed": 1,
    "tags": (),
    "recipe": {"loss": {"name": "cross_entropy"}},
}


@pytest.mark.parametrize(
    ("text", "ldam", "ce"),
    [
        ("", True, True),
        ("state == finished and loss.name == 'ldam' and test/accuracy > 0.8", True, False),
        ("tag = baseline", True, False),
        ("tags != baseline", False, True),
        ("tag in [x, paper]", True, False),
        ("tag ~ BASE", True, False),
        ("tag = none", False, True),
        ("seed in [0,1]", True, True),
        ("seed not in [0]", False, True),
        ("seed = 1", False, True),
        ("seed >= 0.5", False, True),
        ("name ~ drw", True, False),
        ("name !~ drw", False, True),
        ("loss = ldam", True, False),
        ("loss.max_m=.5", True, False),
        ("loss.max_m != 0.5", False, True),
        ("methods = class_weights", True, False),
        ("methods.class_weights = true", True, False),
        ("methods.class_weights.start_epoch > 40", True, False),
        ("methods.mypkg.mod:thing.rate <= 0.5", True, False),
        ("methods.lottery = none", True, True),
        ("corruptions.long_tail.ratio == 100", True, False),
        ("train.fuse = false", True, False),
        ("train.fuse = 0", False, False),
        ("test/accuracy = none", False, True),
        ("test/class_accuracy > 0", False, False),
        ("digest = 12e4", True, False),
        ("created > 2025-11-01", True, False),
        ("created > 2026", False, False),
        ("drw", True, False),
        ("LONG", True, False),
        ("baseline", True, False),
        ("'cao2019/quick'", True, True),
        ("not drw", False, True),
        ("drw or state = running", True, True),
        ("drw and state = running or seed = 1", False, True),
        ("drw and (state = running or seed = 0)", True, False),
        ("not not (not drw)", False, True),
        ('arm == "LDAM-DRW"', True, False),
        ("arm == LDAM-DRW", True, False),
    ],
)
def test_selection(text: str, ldam: bool, ce: bool) -> None:
    chosen = where.parse(text)
    assert (chosen(LDAM), chosen(CE)) == (ldam, ce)


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("stat == finished", 1, 'Did you mean "state"'),
        ("state == finished and los.name = ldam", 23, 'Did you mean "loss"'),
        ("state ==", 9, "expected a value"),
        ("arm == and x", 12, 'expected "and" or "or"'),
        ("state == fnished", 10, 'no state "fnished". Did you mean "finished"'),
        ("state in [failed, gone]", 19, 'no state "gone". Known: crashed'),
        ("test/accuracy > high", 17, "needs a number"),
        ("seed < x", 8, "needs a number"),
        ("seed in 3", 9, "seed in \\[0, 1\\]"),
        ("seed in [0 1]", 12, 'expected ","'),
        ("(state = finished", 18, 'expected "\\)"'),
        ("drw ldam", 5, 'expected "and" or "or"'),
        ("and", 1, "expected a key or a word"),
        ("state = 'x", 9, "quote is not closed"),
        ("state & x", 7, "'&' cannot be read"),
        ("train = 3", 1, "is no field"),
        ("(" * 60 + "drw" + ")" * 60, 51, "nested too deeply"),
        ("not " * 60 + "drw", 201, "nested too deeply"),
    ],
)
def test_mistakes_are_named_with_their_column(text: str, column: int, says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        where.parse(text)
    assert caught.value.where == f"--where, column {column}"


def test_the_caller_names_the_place() -> None:
    with pytest.raises(UserError, match=r"^filter, column 1: "):
        where.parse("x =", where="filter")


def test_a_filter_knows_what_it_looks_at() -> None:
    assert where.parse("state = finished and test/accuracy > 0").keys == {"state", "test/accuracy"}
    assert {"title", "tags"} <= where.parse("drw").keys


def test_lookup_of_names() -> None:
    assert where.lookup(LDAM, "loss") == "ldam"
    assert where.lookup(LDAM, "methods") == ["class_weights", "mypkg.mod:thing"]
    assert where.lookup(LDAM, "name") == "LDAM-DRW"
    assert where.lookup({"id": "x"}, "name") == "x"
    assert where.lookup({}, "model.head") is None


@given(st.text(alphabet="ab=<>~!()[], '\"/.0not", max_size=30))
def test_every_text_is_a_filter_or_a_user_error(text: str) -> None:
    try:
        chosen = where.parse(text)
    except UserError:
        return
    assert chosen(LDAM) in (True, False)


def test_real_runs(make_runs: Callable[..., list[Any]]) -> None:
    (run,) = make_runs()
    folders.write_notes(run, tags=["baseline"], note="")
    files.write_json(run.result, {"attempt": 1, "state": "finished", "metrics": {"test/accuracy": 0.8}})
    view = store.read(run)
    text = (
        "tag = baseline and state = finished and test/accuracy >= 0.8 and corruptions.long_tail.ratio = 100"
    )
    assert where.parse(text)(view)
    assert where.parse("dataset.protocol = long_tail and train.batch_size < 65 and tiny")(view)
    assert not where.parse("model.head = cosine")(view)
