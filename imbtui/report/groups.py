"""Groups of runs side by side: seeds together, settings and metrics beside each other."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imbtui.members import Member, members_of
from imbtui.metrics import Reader
from imbtui.report.compare import Line, dotted
from imbtui.report.spread import Spread, spread
from imbtui.report.studies import Record
from imbtui.report.summary import PREFERRED
from imbtui.verdict.difference import Difference, paired

_SEED_KEYS = ("seeds",)


@dataclass(frozen=True)
class Group:
    """Runs that belong together: an arm's at a grid point, or one run.

    Attributes:
        label: what tells it apart from the others.
        members: one a seed, whether it ran or not.
    """

    label: str
    members: tuple[Member, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        """Its runs, each once."""
        return tuple(dict.fromkeys(m.run.id for m in self.members if m.run is not None))

    @property
    def finished(self) -> int:
        return sum(member.finished is not None for member in self.members)

    @property
    def size_text(self) -> str:
        """How many of its runs finished: `3`, or `2 of 3`."""
        asked = len(self.members)
        return str(asked) if self.finished == asked else f"{self.finished} of {asked}"


@dataclass(frozen=True)
class Comparison:
    """Groups side by side.

    Attributes:
        recipe: dotted keys whose values differ between groups.
        metrics: metrics of finished runs by name, a spread over seeds for each group.
    """

    groups: tuple[Group, ...]
    recipe: tuple[Line, ...]
    metrics: Mapping[str, tuple[Spread | None, ...]]

    def difference(self, metric: str, number: int, other: int) -> Difference:
        """Return how a group's metric differs from another's, paired by seed.

        Args:
            metric: one of `metrics`.
            number, other: positions of the two groups.
        """
        sides = [self.metrics[metric][place] for place in (number, other)]
        return paired(*({} if side is None else side.values for side in sides))

    def to_json(self, metric: str, baseline: int = 0) -> dict[str, Any]:
        """Return a JSON document with the differences of one metric from a group."""
        places = range(len(self.groups)) if metric in self.metrics else ()
        return {
            "groups": [{"label": g.label, "ids": list(g.ids)} for g in self.groups],
            "recipe": {line.key: list(line.values) for line in self.recipe},
            "metrics": {
                name: [None if s is None else s.to_json() for s in spreads]
                for name, spreads in self.metrics.items()
            },
            "differences": {
                "metric": metric,
                "from": self.groups[baseline].label,
                "groups": [
                    None if place == baseline else self.difference(metric, place, baseline).to_json()
                    for place in places
                ],
            },
        }


def single(views: Sequence[Any]) -> list[Group]:
    """Return each run as a group of its own.

    Args:
        views: `RunView`s.
    """
    members = [Member(view.arm, view.point, view.seed, view) for view in views]
    return _labelled([[member] for member in members], seeds=True)


def over_seeds(views: Sequence[Any]) -> list[Group]:
    """Return runs in groups that differ in nothing but the seed, in the order of their first runs.

    Args:
        views: `RunView`s.
    """
    found: dict[str, list[Member]] = {}
    for view in views:
        settings = {k: v for k, v in dotted(view.recipe).items() if k not in _SEED_KEYS}
        key = json.dumps(settings, sort_keys=True, default=str)
        found.setdefault(key, []).append(Member(view.arm, view.point, view.seed, view))
    groups = [sorted(members, key=lambda m: m.seed) for members in found.values()]
    return _labelled(groups, seeds=False)


def of_study(record: Record, runs: Mapping[str, Any]) -> list[Group]:
    """Return a study's arms, at each grid point, in its order.

    Args:
        record: the study's record, see `recipe.Study.record`.
        runs: runs by digest, see `members.by_digest`.
    """
    found: dict[str, list[Member]] = {}
    for member in members_of(record, runs):
        found.setdefault(member.label, []).append(member)
    name = str(record.get("study", ""))
    return [Group(label or name, tuple(members)) for label, members in found.items()]


def compare_groups(groups: Sequence[Group], *, at: str = "last") -> Comparison:
    """Compare groups.

    Args:
        groups: at least one.
        at: which value of a metric's curve, see `metrics.pick`; `best` passes over runs without a
            validation split.
    """
    first = [next((m.run for m in group.members if m.run is not None), None) for group in groups]
    recipes = [{} if run is None else dotted(run.recipe) for run in first]
    left_out = () if all(len(group.members) == 1 for group in groups) else _SEED_KEYS
    keys = dict.fromkeys(key for recipe in recipes for key in recipe if key not in left_out)
    lines = [Line(key, tuple(recipe.get(key) for recipe in recipes)) for key in keys]
    reader = Reader()
    return Comparison(
        tuple(groups),
        tuple(line for line in lines if any(value != line.values[0] for value in line.values)),
        {
            name: tuple(spread(_with(group, at), name, at=at, reader=reader)[0] for group in groups)
            for name in metric_names(groups)
        },
    )


def metric_names(groups: Sequence[Group]) -> list[str]:
    """Return the metrics of finished runs: those a summary shows, other test metrics, the rest."""
    known = {
        name
        for group in groups
        for member in group.members
        if member.finished is not None
        for name, value in member.finished.metrics.items()
        if "/" in name and isinstance(value, int | float)
    }
    order = {name: place for place, name in enumerate((*PREFERRED, "test/accuracy", "test/loss"))}
    return sorted(known, key=lambda name: (order.get(name, 99), not name.startswith("test/"), name))


def _with(group: Group, at: str) -> list[Member]:
    if at != "best":
        return list(group.members)
    return [m for m in group.members if m.finished is not None and m.finished.best.get("selected_on")]


def _labelled(groups: Sequence[Sequence[Member]], *, seeds: bool) -> list[Group]:
    """Name groups by arm and point; by study, seed and id too where those alone would be the same."""
    runs = [(members[0], members[0].run) for members in groups]
    studies = {getattr(run, "study", "") for _, run in runs}
    labels = []
    for member, run in runs:
        study = str(getattr(run, "study", ""))
        parts = [study] if len(studies) > 1 or not member.label else []
        parts += [member.label] if member.label else []
        parts += [f"seed {member.seed}"] if seeds else []
        labels.append(", ".join(parts))
    named = []
    for label, members in zip(labels, groups, strict=True):
        run = members[0].run
        again = labels.count(label) > 1 and run is not None
        named.append(Group(f"{label} {run.id[:6]}" if again and run else label, tuple(members)))
    return named
