"""A study: what a recipe file describes. Arms x grid x seeds give its runs."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Sequence
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
    document = check(Document, raw, where)
    tables = {key: value for key, value in raw.items() if key not in overrides.STUDY_KEYS}
    tables.setdefault("loss", {"name": "cross_entropy"})
    arms = [check(Arm, arm, f"{where}, arms") for arm in document.arms]
    by_arm = overrides.apply_arms(tables, arms, where=f"{where}, arms")
    grid = _grid(raw.get("grid", {}), where)
    wanted = tuple(document.seeds if seeds is None else seeds)
    if not wanted:
        raise UserError("the list of seeds is empty", where=where if seeds is None else "--seeds")
    if len(set(wanted)) != len(wanted):
        raise UserError("a seed is listed twice", where=where if seeds is None else "--seeds")
    changes = dict(overrides.parse_assignment(a) for a in assignments)
    for key in changes:
        if key in grid:
            raise UserError(f'"{key}" is varied by the grid and cannot be set too', where="--set")

    planned = []
    variants: list[tuple[str | None, dict[str, Any]]] = [*by_arm.items()] or [(None, tables)]
    for (label, own), point in itertools.product(variants, _points(grid)):
        varied = dict(own)
        overrides.apply(varied, point, where=f"{where}, grid")
        overrides.apply(varied, changes, where="--set")
        for seed in wanted:
            recipe = resolve(varied, seed, where=where, allow_plugins=allow_plugins)
            planned.append((recipe, label, point, seed))
    variant = short_hash(
        [
            name,
            sorted(
                (a or "", sorted(p.items()), str(identity(r))) for r, a, p, s in planned if s == wanted[0]
            ),
        ]
    )[:8]
    notes = {w for recipe, *_ in planned for w in warnings(recipe)}
    claims = tuple(check(Claim, c, f"{where}, claims") for c in document.claims)
    for claim in claims:
        _known_arms(claim, list(by_arm), f"{where}, claims")
        if claim.over is not None and claim.over not in grid:
            raise UserError(
                f'"{claim.over}" is not a key of the grid', where=f"{where}, claims ({claim.says})"
            )
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
        claims=claims,
        reported=tuple(check(Reported, r, f"{where}, reported") for r in document.reported),
        variant=variant,
        warnings=tuple(sorted(notes)),
        runs=tuple(PlannedRun(r, name, variant, a, p, s, digest(r)) for r, a, p, s in planned),
    )


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
