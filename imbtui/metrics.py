"""Curves of a run: rows of metrics.jsonl, series of one metric, and the one value a question asks for."""

from __future__ import annotations

import json
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import orjson

from imbtui import shapes
from imbtui.errors import UserError, did_you_mean

POSITION_KEYS = ("stage", "step", "epoch", "time")
NAME = re.compile(r"[A-Za-z_][\w./@:-]*")  # a colon is in names of plug-ins from outside
_COMPARISON = re.compile(r"(>=|<=|==|!=|>|<)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)")
_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
_FALLING = ("loss", "error", "nll", "ece", "brier")


class NotMeasured(Exception):
    """A run has ended but does not hold the value asked for. The message is a phrase that says why."""


class Series(NamedTuple):
    """One metric of a run over time, in the order of stages and steps; `nan` where it was not a number."""

    steps: list[int]
    epochs: list[float]
    values: list[float]


@dataclass(frozen=True)
class At:
    """Which value of a curve is meant.

    Attributes:
        kind: `last`, `first`, `best`, `max`, `min`, `epoch`, `step`, `mean_last`, `argmax` or `argmin`.
        number: of `epoch`, `step` and `mean_last`.
        name: of `argmax` and `argmin`.
    """

    kind: str
    number: int = 0
    name: str = ""


class Run(Protocol):
    """What is read of a run here; `store.RunView` is one."""

    @property
    def id(self) -> str: ...
    @property
    def path(self) -> Any: ...
    @property
    def metrics(self) -> Mapping[str, Any]: ...
    @property
    def best(self) -> Mapping[str, Any]: ...
    @property
    def env(self) -> Mapping[str, Any]: ...


def read_rows(path: Path) -> tuple[list[dict[str, Any]], int]:
    """Return the rows of a metrics.jsonl and how many of its lines could not be read.

    A line torn by a killed writer is skipped and counted; an absent file has no rows.
    """
    try:
        data = path.read_bytes()
    except OSError:
        return [], 0
    rows: list[dict[str, Any]] = []
    bad = 0
    for line in data.split(b"\n"):
        if not line or line.isspace():
            continue
        row = parse_row(line)
        if row is None:
            bad += 1
        else:
            rows.append(row)
    return rows, bad


def parse_row(line: bytes) -> dict[str, Any] | None:
    """Return one line of a metrics.jsonl, or None when it is not a row."""
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        # `NaN` is not JSON, but other writers than ours spell it.
        if b"NaN" not in line and b"Infinity" not in line:
            return None
        try:
            row = json.loads(line)
        except ValueError:
            return None
    is_row = isinstance(row, dict) and "step" in row and shapes.damaged(row, shapes.ROW) is None
    return row if is_row else None


def names(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the metrics that the rows hold, sorted."""
    return sorted({key for row in rows for key in row if key not in POSITION_KEYS})


def stages(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the stages of the rows in the order they began."""
    return list(dict.fromkeys(str(row.get("stage", "")) for row in rows))


def series(rows: Iterable[Mapping[str, Any]], name: str, stage: str | None = None) -> Series:
    """Return the curve of a metric.

    Where a step was recorded twice (a run that went on after a crash), its last value counts.

    Args:
        rows: rows of metrics.jsonl.
        name: the metric, e.g. `test/accuracy`.
        stage: only this stage; None: all stages one after another.
    """
    points: dict[tuple[str, int], tuple[float, float]] = {}
    for row in rows:
        if name not in row:
            continue
        where = str(row.get("stage", ""))
        if stage is None or where == stage:
            points[where, row["step"]] = (_number(row.get("epoch", 0), 0.0), _number(row[name], math.nan))
    return Series(
        [step for _, step in points], [epoch for epoch, _ in points.values()], [v for _, v in points.values()]
    )


def lower_is_better(name: str) -> bool:
    """Whether a metric is one that training pushes down: losses, errors, calibration errors."""
    return any(part in _FALLING for part in re.split(r"[/_]", name))


def parse_at(text: str, *, where: str = "") -> At:
    """Read a selector such as `last`, `epoch:8` or `argmax:val/accuracy`.

    Raises:
        UserError: it is none, with what would be right.
    """
    kind, colon, rest = text.partition(":")
    if kind in ("last", "first", "best", "max", "min") and not colon:
        return At(kind)
    if (
        kind in ("epoch", "step", "mean_last")
        and rest.isdecimal()
        and not (kind == "mean_last" and int(rest) == 0)
    ):
        return At(kind, number=int(rest))
    if kind in ("argmax", "argmin") and NAME.fullmatch(rest):
        return At(kind, name=rest)
    forms = ["last", "best", "max", "min", "first", "epoch:8", "step:100", "mean_last:5"]
    forms += ["argmax:val/accuracy", "argmin:val/loss"]
    raise UserError(
        f'"{text}" does not say which value is meant', where=where, hint=f"Known: {', '.join(forms)}."
    )


def parse_comparison(text: str, *, where: str = "") -> Callable[[float], bool]:
    """Read a comparison with a number, such as `>= 0.9`; `nan` never satisfies it.

    Raises:
        UserError: it is none.
    """
    match = _COMPARISON.fullmatch(text.strip())
    if match is None:
        raise UserError(
            f'"{text}" is not a comparison with a number', where=where, hint='Write e.g. ">= 0.9".'
        )
    compare, bound = _OPERATORS[match[1]], float(match[2])
    return lambda value: not math.isnan(value) and compare(value, bound)


def pick(
    rows: Sequence[Mapping[str, Any]],
    name: str,
    at: str = "last",
    stage: str | None = None,
    *,
    selected_on: str | None = None,
) -> float:
    """Return the one value of a metric that `at` means.

    | at | value |
    | --- | --- |
    | `last`, `first` | the newest, the oldest |
    | `max`, `min` | the largest, the smallest number |
    | `epoch:8`, `step:100` | after that many epochs or steps |
    | `mean_last:5` | mean of the five newest |
    | `argmax:NAME`, `argmin:NAME` | where NAME is largest or smallest, among the steps with both metrics |
    | `best` | where the validation metric `selected_on` is best |

    Ties go to the earliest step.

    Args:
        rows: rows of metrics.jsonl.
        name: the metric.
        at: the selector.
        stage: only this stage; None: all. With several stages `epoch:` and `step:` need one.
        selected_on: the validation metric that chose the best epoch; None: there is no validation split.

    Raises:
        NotMeasured: the rows do not hold it.
        UserError: `at` is no selector.
    """
    selector = parse_at(at)
    curve = _measured(rows, name, stage)
    steps, epochs, values = curve
    match selector.kind:
        case "last":
            return values[-1]
        case "first":
            return values[0]
        case "max" | "min":
            finite = [v for v in values if not math.isnan(v)]
            return (max if selector.kind == "max" else min)(finite, default=math.nan)
        case "mean_last":
            if len(values) < selector.number:
                raise NotMeasured(f"{name} was measured {len(values)} times, not {selector.number}")
            return math.fsum(values[-selector.number :]) / selector.number
        case "epoch" | "step":
            _one_stage(rows, name, stage, f"at = {at!r}")
            # The newest row with that position: an epoch's end follows rows within it.
            axis: list[Any] = list(epochs if selector.kind == "epoch" else steps)
            for position in range(len(axis) - 1, -1, -1):
                if axis[position] == selector.number:
                    return values[position]
            raise NotMeasured(f"{name} was not measured at {selector.kind} {selector.number}")
        case "best":
            if selected_on is None:
                raise NotMeasured(
                    "there is no validation split (dataset.validation), so no epoch is the best one"
                )
            return _value_at_extreme(rows, name, selected_on, stage, largest=not lower_is_better(selected_on))
        case _:
            return _value_at_extreme(rows, name, selector.name, stage, largest=selector.kind == "argmax")


def reach(
    rows: Sequence[Mapping[str, Any]],
    name: str,
    comparison: str,
    stage: str | None = None,
    *,
    budget: int = 0,
) -> float:
    """Return the first step at which a metric satisfies a comparison; never reached counts as the budget.

    Args:
        rows: rows of metrics.jsonl.
        name: the metric.
        comparison: such as `>= 0.9`.
        stage: the stage; a run with several needs one.
        budget: steps the stage was given; 0: unknown, the stage's last recorded step counts.

    Raises:
        NotMeasured: the metric is not in the rows, or in several stages while none is named.
        UserError: the comparison is none.
    """
    satisfied = parse_comparison(comparison)
    curve = _measured(rows, name, stage)
    _one_stage(rows, name, stage, "reach()")
    for step, value in zip(curve.steps, curve.values, strict=True):
        if satisfied(value):
            return float(step)
    last = max(row["step"] for row in rows if stage is None or str(row.get("stage", "")) == stage)
    return float(max(last, budget))


class Reader:
    """Values of runs; each metrics.jsonl is read at most once, and not at all where the result tells."""

    def __init__(self) -> None:
        self._rows: dict[str, list[dict[str, Any]]] = {}

    def rows(self, run: Run) -> list[dict[str, Any]]:
        """Return the rows of a run."""
        if run.id not in self._rows:
            self._rows[run.id] = read_rows(run.path.metrics)[0]
        return self._rows[run.id]

    def value(self, run: Run, name: str, at: str = "last", stage: str | None = None) -> float:
        """Return one value of a run, see `pick`. `best` without a stage is the epoch the run itself chose.

        Raises:
            NotMeasured: the run does not hold it.
            UserError: `at` is no selector.
        """
        selector = parse_at(at)
        if stage is None and selector.kind in ("last", "best"):
            known = run.metrics if selector.kind == "last" else run.best
            if name in known:
                return _scalar(known[name], name)
        chosen = run.best.get("selected_on")
        return pick(self.rows(run), name, at, stage, selected_on=None if chosen is None else str(chosen))

    def reach(self, run: Run, name: str, comparison: str, stage: str | None = None) -> float:
        """Return the first step at which a run's metric satisfies a comparison, see `reach`."""
        planned = run.env.get("steps")
        return reach(
            self.rows(run), name, comparison, stage, budget=planned if isinstance(planned, int) else 0
        )


def _measured(rows: Sequence[Mapping[str, Any]], name: str, stage: str | None) -> Series:
    """Return a metric's curve, which has at least one value."""
    curve = series(rows, name, stage)
    if not curve.values:
        if not rows:
            raise NotMeasured("it has no metrics")
        if stage is not None and stage not in stages(rows):
            raise NotMeasured(f'it has no stage "{stage}". {did_you_mean(stage, stages(rows))}'.rstrip())
        raise NotMeasured(f"{name} was not measured. {did_you_mean(name, names(rows))}".rstrip())
    for row in reversed(rows):
        if name in row:
            _scalar(row[name], name)
            break
    return curve


def _one_stage(rows: Sequence[Mapping[str, Any]], name: str, stage: str | None, asked: str) -> None:
    if stage is None:
        found = stages(row for row in rows if name in row)
        if len(found) > 1:
            raise NotMeasured(f"{asked} needs a stage, one of {', '.join(found)}")


def _value_at_extreme(
    rows: Sequence[Mapping[str, Any]], name: str, guide: str, stage: str | None, *, largest: bool
) -> float:
    wanted: dict[tuple[str, int], float] = {}
    guides: dict[tuple[str, int], float] = {}
    _measured(rows, guide, stage)
    for row in rows:
        where = str(row.get("stage", ""))
        if stage is None or where == stage:
            for key, found in ((name, wanted), (guide, guides)):
                if key in row:
                    found[where, row["step"]] = _number(row[key], math.nan)
    common = [place for place in guides if place in wanted and not math.isnan(guides[place])]
    if not common:
        raise NotMeasured(f"{name} and {guide} were never measured at the same step")
    # max and min return the first of equals, and places are in order of time.
    best = (max if largest else min)(common, key=guides.__getitem__)
    return wanted[best]


def _scalar(value: Any, name: str) -> float:
    if isinstance(value, list | dict | str):
        raise NotMeasured(f"{name} is not one number")
    return _number(value, math.nan)


def _number(value: Any, otherwise: float) -> float:
    if isinstance(value, float):
        return value
    # A larger one than any count is nothing that a run measured, and may be too large for a float.
    return float(value) if isinstance(value, int) and abs(value) < shapes.LARGEST else otherwise
