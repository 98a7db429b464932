"""A study: what a recipe file describes. Arms x grid x seeds give its runs."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imbtui.errors import UserError, did_you_mean
from imbtui.recipe import library, measured, overrides
from imbtui.recipe.digest import digest, identity, short_hash
from imbtui.recipe.resolve import check, resolve, warnings
from imbtui.recipe.schema import Arm, Claim, Document, Recipe, Reported


@dataclass(frozen=True)
class PlannedRun:
    """One run of a study, before it has a folder.

    Attributes:
        study, variant: the study it belongs to, see `Study`.
        arm: label of its arm, or None in a study without arms.
        point: its values of the grid's keys.
    """

    recipe: Recipe
    study: str
    variant: str
    arm: str | None
    point: dict[str, Any]
    seed: int
    digest: str


@dataclass(frozen=True)
class Study:
    """A recipe file with overrides applied.

    Attributes:
        name: `cao2019/quick` for a recipe of a recipes folder, else the file's stem.
        path: the file.
        source: its text.
        overrides: the `--set` assignments.
        seeds: the seeds, `--seeds` applied.
        variant: 8 hex digits of everything but the seeds, so that the same study with another schedule
            is not averaged with it.
        warnings: sentences about settings that will have no effect.
    """

    name: str
    path: Path
    source: str
    overrides: tuple[str, ...]
    title: str
    paper: str
    seeds: tuple[int, ...]
    arms: tuple[Arm, ...]
    grid: dict[str, list[Any]]
    claims: tuple[Claim, ...]
    reported: tuple[Reported, ...]
    variant: str
    warnings: tuple[str, ...]
    runs: tuple[PlannedRun, ...] = field(repr=False)

    def record(self) -> dict[str, Any]:
        """Return what a verdict needs to know of the study, as a JSON document."""
        return {
            "study": self.name,
            "variant": self.variant,
            "source": self.source,
            "overrides": list(self.overrides),
            "title": self.title,
            "paper": self.paper,
            "seeds": list(self.seeds),
            "arms": [arm.label for arm in self.arms],
            "grid": self.grid,
            "claims": [c.model_dump(by_alias=True, exclude_none=True) for c in self.claims],
            "reported": [r.model_dump() for r in self.reported],
            "metrics": measured.metrics(run.recipe for run in self.runs),
            "stages": measured.stages(run.recipe for run in self.runs),
            "members": [
                {"arm": r.arm, "point": r.point, "seed": r.seed, "digest": r.digest} for r in self.runs
            ],
        }


def load_study(
    reference: str | Path,
    assignments: Sequence[str] = (),
    *,
    seeds: Sequence[int] | None = None,
    allow_plugins: bool = False,
) -> Study:
    """Read a recipe file and expand it to runs.

    Args:
        reference: a path or a name, see `library.find`.
        assignments: `KEY=VALUE` overrides; they win over arms and grid.
        seeds: replace the file's seeds.
        allow_plugins: permit plug-ins from outside the package.

    Raises:
        UserError: the file is not found, not TOML, or anything in it is wrong.
    """
    path = library.find(str(reference))
    source = read_text(path)
    return parse_study(
        source,
        path,
        name=library.name_of(path),
        assignments=assignments,
        seeds=seeds,
        allow_plugins=allow_plugins,
    )


def read_text(path: Path) -> str:
    """Return a recipe file's text.

    Raises:
        UserError: it cannot be read or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"not UTF-8 text (byte {error.start})", where=str(path)) from None
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=str(path)) from None


def parse_study(
    source: str,
    path: Path,
    *,
    name: str,
    assignments: Sequence[str] = (),
    seeds: Sequence[int] | None = None,
    allow_plugins: bool = False,
) -> Study:
    """Expand a recipe's text; see `load_study`."""
    where = str(path)
    try:
        raw = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"not valid TOML: {_lower(str(error))}", where=where) from None
    except RecursionError:
        raise UserError("not a recipe: brackets within brackets without end", where=where) from None
    document = check(Document, raw, where)
    tables = {key: value for key, value in raw.items() if key not in overrides.STUDY_KEYS}
    tables.setdefault("loss", {"name": "cross_entropy"})
    arms = [check(Arm, arm, f"{where}, arms") for arm in document.arms]
    by_arm = overrides.apply_arms(tables, arms, where=f"{where}, arms")
    grid = _grid(raw.get("grid", {}), where)
    wanted = tuple(document.seeds if seeds is None else seeds)
    _check_seeds(wanted, where if seeds is None else "--seeds")
    changes = dict(overrides.parse_assignment(a) for a in assignments)
    for key in changes:
        if key in grid:
            raise UserError(f'"{key}" is varied by the grid and cannot be set too', where="--set")
    varied: list[tuple[str | None, dict[str, Any]]] = [*by_arm.items()] or [(None, tables)]
    members = _members(varied, grid, changes, wanted, where, allow_plugins)
    variant = _variant(name, [member for member in members if member[3] == wanted[0]])
    return Study(
        name=name,
        path=path,
        source=source,
        overrides=tuple(assignments),
        title=document.title,
        paper=document.paper,
        seeds=wanted,
        arms=tuple(arms),
        grid=grid,
        claims=_claims(document, list(by_arm), grid, f"{where}, claims"),
        reported=tuple(check(Reported, r, f"{where}, reported") for r in document.reported),
        variant=variant,
        warnings=tuple(sorted({w for recipe, *_ in members for w in warnings(recipe)})),
        runs=tuple(PlannedRun(r, name, variant, a, p, s, digest(r)) for r, a, p, s in members),
    )


_Member = tuple[Recipe, str | None, dict[str, Any], int]
"""A run's recipe, arm, grid point and seed."""


def _members(
    by_arm: Sequence[tuple[str | None, dict[str, Any]]],
    grid: dict[str, list[Any]],
    changes: Mapping[str, Any],
    seeds: Sequence[int],
    where: str,
    allow_plugins: bool,
) -> list[_Member]:
    """Expand raw tables by arm to arms x grid x seeds, resolved."""
    members: list[_Member] = []
    for (label, own), point in itertools.product(by_arm, _points(grid)):
        varied = dict(own)
        overrides.apply(varied, point, where=f"{where}, grid")
        overrides.apply(varied, changes, where="--set")
        for seed in seeds:
            recipe = resolve(varied, seed, where=where, allow_plugins=allow_plugins)
            members.append((recipe, label, point, seed))
    return members


def _variant(name: str, members: Sequence[_Member]) -> str:
    """Return 8 hex digits of a study's name and of what its runs with one of the seeds compute."""
    parts = sorted((arm or "", sorted(p.items()), str(identity(recipe))) for recipe, arm, p, _ in members)
    return short_hash([name, parts])[:8]


def _check_seeds(seeds: Sequence[int], where: str) -> None:
    if not seeds:
        raise UserError("the list of seeds is empty", where=where)
    if len(set(seeds)) != len(seeds):
        raise UserError("a seed is listed twice", where=where)


def _claims(document: Document, arms: list[str], grid: Mapping[str, Any], where: str) -> tuple[Claim, ...]:
    claims = tuple(check(Claim, claim, where) for claim in document.claims)
    for claim in claims:
        _known_arms(claim, arms, where)
        if claim.over is not None and claim.over not in grid:
            raise UserError(f'"{claim.over}" is not a key of the grid', where=f"{where} ({claim.says})")
    return claims


def _grid(table: dict[str, Any], where: str) -> dict[str, list[Any]]:
    grid = overrides.flatten(table)
    for key, values in grid.items():
        if not isinstance(values, list) or not values:
            raise UserError("a grid key needs a list of values", where=f"{where}, grid.{key}")
    return grid


def _points(grid: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def _known_arms(claim: Claim, labels: list[str], where: str) -> None:
    named: list[Any] = [claim.arm, claim.to, claim.above, claim.below, claim.against]
    for item in named:
        for label in item if isinstance(item, list) else [item]:
            if isinstance(label, str) and label not in labels:
                raise UserError(
                    f'there is no arm "{label}"',
                    where=f"{where} ({claim.says})",
                    hint=did_you_mean(label, labels),
                )


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
