"""The runs of a study, asked for the value of an expression in every seed."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from imbtui.errors import UserError, did_you_mean
from imbtui.members import Member
from imbtui.metrics import NotMeasured, Reader
from imbtui.verdict.expression import Expression, Reference

Conditions = Mapping[str, Any]
"""Which runs are meant: `arm` and grid keys with their values; what is left out is averaged over."""


class NotRun(Exception):
    """A claim cannot be judged because runs or measurements are missing."""


class Undecided(Exception):
    """A claim cannot be decided from what was measured."""


class Sample:
    """Values of a study's members by seed.

    What is missing on the way is collected, so that `ready` can name all of it.

    Args:
        members: all runs that the study asks for.
        at, stage: what a reference means that does not say it.
        reader: shared between the claims of a study, so that files are read once.
    """

    def __init__(self, members: Sequence[Member], *, at: str, stage: str | None, reader: Reader) -> None:
        self.members = members
        self.arms = list(dict.fromkeys(m.arm for m in members if m.arm is not None))
        self.keys = list(dict.fromkeys(key for m in members for key in m.point))
        self.most_points = 1
        self._at, self._stage, self._reader = at, stage, reader
        self._find = {(m.arm, _point_key(m.point), m.seed): m for m in members}
        self._missing: dict[tuple[str, str], list[int]] = {}
        self._unmeasured: list[str] = []
        self._not_finite: dict[str, list[int]] = {}

    def grid(self, key: str) -> list[Any]:
        """Return a grid key's values, ascending when all are numbers, else as listed.

        Raises:
            UserError: the study's grid does not have the key.
        """
        if key not in self.keys:
            raise UserError(f'"{key}" is not a key of the grid', hint=did_you_mean(key, self.keys))
        values: list[Any] = []
        for member in self.members:
            if member.point.get(key) not in values:
                values.append(member.point.get(key))
        return sorted(values) if all(map(is_number, values)) else values

    def conditions(self, side: Any) -> dict[str, Any]:
        """Return what a side of a claim means: an arm's label, a `{key = value}` table, or None for all.

        Raises:
            UserError: it names an arm, a grid key or a grid value that the study does not have.
        """
        if side is None:
            return {}
        if isinstance(side, str):
            side = {"arm": side}
        from imbtui.recipe.overrides import flatten

        conditions = flatten(side)
        for key, value in conditions.items():
            if key == "arm":
                if value not in self.arms:
                    raise UserError(f'there is no arm "{value}"', hint=did_you_mean(str(value), self.arms))
            elif value not in self.grid(key):
                known = ", ".join(map(str, self.grid(key)))
                raise UserError(f'{value} is not a value of "{key}" in the grid', hint=f"Known: {known}.")
        return conditions

    def runs(self, expression: Expression, conditions: Conditions) -> dict[int, list[float]]:
        """Return the expression's value in every run that is meant, by seed.

        Raises:
            UserError: it is unclear which arm is meant, or an arm does not exist.
        """
        for reference in expression.references:
            if reference.arm is not None and reference.arm not in self.arms:
                raise UserError(
                    f'there is no arm "{reference.arm}"', hint=did_you_mean(reference.arm, self.arms)
                )
        by_itself = all(r.arm is not None for r in expression.references)
        if "arm" not in conditions and len(self.arms) > 1 and not by_itself:
            raise UserError(
                "it is unclear which arm is meant", hint='Give the claim "arm", or write m(..., arm = ...).'
            )
        found: dict[int, dict[tuple[str | None, str], Member]] = {}
        for member in self.members:
            if all((member.arm if k == "arm" else member.point.get(k)) == v for k, v in conditions.items()):
                arm = None if by_itself else member.arm
                found.setdefault(member.seed, {}).setdefault((arm, _point_key(member.point)), member)
        values = {
            seed: [self._value(expression, member) for member in members.values()]
            for seed, members in sorted(found.items())
        }
        self.most_points = max([self.most_points, *map(len, values.values())])
        return values

    def means(self, expression: Expression, conditions: Conditions) -> dict[int, float]:
        """Return the expression's mean over the runs that are meant, by seed."""
        return {s: math.fsum(v) / len(v) for s, v in self.runs(expression, conditions).items()}

    def ready(self, *sides: Iterable[int]) -> list[int]:
        """Return the seeds, after making sure that every value asked for so far is there.

        Args:
            sides: the seeds of everything that is compared.

        Raises:
            NotRun: runs are missing or not finished, or did not measure what is asked for.
            Undecided: a value is not a finite number.
        """
        if self._missing:
            parts = [f"{_seeds(label, seeds)} ({state})" for (label, state), seeds in self._missing.items()]
            raise NotRun("not finished: " + "; ".join(_at_most(parts)))
        if self._unmeasured:
            raise NotRun("; ".join(_at_most(list(dict.fromkeys(self._unmeasured)))))
        seeds = sorted(set().union(*sides))
        for side in sides:
            if lacking := sorted(set(seeds) - set(side)):
                raise NotRun(f"not every side has runs for {_seeds('', lacking)}")
        if self._not_finite:
            parts = [_seeds(label, seeds) for label, seeds in self._not_finite.items()]
            raise Undecided("the metric is not a finite number in " + "; ".join(_at_most(parts)))
        return seeds

    def _value(self, expression: Expression, member: Member) -> float:
        complete = True

        def look_up(reference: Reference) -> float:
            nonlocal complete
            source = member
            if reference.arm is not None:
                source = self._find[reference.arm, _point_key(member.point), member.seed]
            run = source.finished
            if run is None:
                seeds = self._missing.setdefault((source.label, source.state), [])
                if source.seed not in seeds:
                    seeds.append(source.seed)
                complete = False
                return math.nan
            try:
                return reference.read(run, self._reader, at=self._at, stage=self._stage)
            except NotMeasured as error:
                self._unmeasured.append(f"{_seeds(source.label, [source.seed])}: {error}")
                complete = False
                return math.nan

        value = expression.evaluate(look_up)
        if complete and not math.isfinite(value):
            self._not_finite.setdefault(member.label, []).append(member.seed)
        return value


def is_number(value: Any) -> bool:
    """Whether a recipe's value is a number (true and false are none)."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _point_key(point: Mapping[str, Any]) -> str:
    return json.dumps(point, sort_keys=True, default=str)


def _seeds(label: str, seeds: Sequence[int]) -> str:
    return f"{label}, seed{'s' * (len(seeds) > 1)} {_span(seeds)}".removeprefix(", ")


def _span(seeds: Sequence[int]) -> str:
    """Spell seeds as `0-4, 7`."""
    parts: list[str] = []
    ordered = sorted(seeds)
    start = 0
    for position, seed in enumerate(ordered):
        if position + 1 == len(ordered) or ordered[position + 1] != seed + 1:
            first = ordered[start]
            parts.append(str(seed) if first == seed else f"{first}-{seed}")
            start = position + 1
    return ", ".join(parts)


def _at_most(parts: list[str], limit: int = 5) -> list[str]:
    return parts if len(parts) <= limit else [*parts[:limit], f"and {len(parts) - limit} more"]
