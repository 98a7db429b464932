"""Runs side by side: only the recipe keys that differ, and every metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imbtui.where import PLUGIN_LISTS

_LEFT_OUT = ("title", "paper")


@dataclass(frozen=True)
class Line:
    """One key with its value in each run; None where a run does not have it."""

    key: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Comparison:
    """Several runs side by side.

    Attributes:
        ids: the runs, in the order given.
        recipe: dotted keys whose values differ.
        metrics: last value of every metric that any run has.
        best: values at each run's best validation epoch; empty without a validation split.
    """

    ids: tuple[str, ...]
    recipe: tuple[Line, ...]
    metrics: tuple[Line, ...]
    best: tuple[Line, ...]

    def to_json(self) -> dict[str, Any]:
        """Return `{ids, recipe, metrics, best}`, each of the last three by key with a list of values."""
        tables = {"recipe": self.recipe, "metrics": self.metrics, "best": self.best}
        return {"ids": list(self.ids)} | {
            name: {line.key: list(line.values) for line in lines} for name, lines in tables.items()
        }


def compare(runs: Sequence[Any]) -> Comparison:
    """Compare runs.

    Args:
        runs: `RunView`s, at least one.
    """
    recipes = [dotted(run.recipe) for run in runs]
    lines = _lines(recipes)
    return Comparison(
        tuple(run.id for run in runs),
        tuple(line for line in lines if any(v != line.values[0] for v in line.values)),
        _lines([_scalars(run.metrics) for run in runs]),
        _lines([_scalars(run.best) for run in runs]),
    )


def dotted(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return a resolved recipe's tables as dotted keys, list members by plug-in name.

    Title and paper are left out: they compute nothing.
    """
    flat: dict[str, Any] = {}
    for key, value in recipe.items():
        if key in PLUGIN_LISTS:
            for member in value:
                name = f"{key}.{member.get('name')}"
                options = {k: v for k, v in member.items() if k != "name"}
                flat |= {name: True} | _flat(options, f"{name}.")
        elif key not in _LEFT_OUT:
            flat |= _flat({key: value}, "")
    return flat


def _flat(table: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value}
    return flat


def _scalars(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in values.items() if "/" in k and isinstance(v, int | float)}


def _lines(columns: Sequence[Mapping[str, Any]]) -> tuple[Line, ...]:
    keys = dict.fromkeys(key for column in columns for key in column)
    return tuple(Line(key, tuple(column.get(key) for column in columns)) for key in keys)
