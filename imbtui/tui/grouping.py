"""Runs grouped by study: a heading for each study, a line with mean ± sd over seeds for each arm."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from imbtui.text import plural
from imbtui.tui import rows as say
from imbtui.tui.messages import Row

if TYPE_CHECKING:
    from imbtui.report.spread import Spread


@dataclass
class Group:
    """A study, or one of its arms at one grid point.

    Attributes:
        key: tells it from all other groups.
        level: 0: a study; 1: an arm.
        label: what it is called.
        runs: its runs, newest first.
        opened: whether what is in it is listed below.
    """

    key: str
    level: int
    label: str
    runs: list[Row] = field(default_factory=list)
    opened: bool = False
    _spreads: dict[str, Spread | None] = field(default_factory=dict, repr=False)

    @property
    def row(self) -> Row:
        """Itself as a line of a table."""
        return {"id": self.key, "state": "", "group": self}

    def states(self) -> str:
        """Return how many runs are in which state: `8 finished · 1 running`."""
        counts = Counter(row["state"] for row in self.runs)
        return " · ".join(f"{counts[state]} {state}" for state in say.STATES if counts[state])

    def spread(self, which: Callable[[Row], float | None]) -> Spread | None:
        """Return a number over the seeds of an arm's finished runs: `say.last` or `say.best`.

        A study has none: its arms are different things.
        """
        name = which.__name__
        if name not in self._spreads:
            self._spreads[name] = self._measure(which) if self.level else None
        return self._spreads[name]

    def _measure(self, which: Callable[[Row], float | None]) -> Spread | None:
        from imbtui.report.spread import Spread

        by_seed: dict[int, list[float]] = {}
        for row in self.runs:
            value = which(row) if row["state"] == "finished" else None
            if value is not None:
                by_seed.setdefault(row.get("seed", 0), []).append(value)
        return Spread({seed: sum(v) / len(v) for seed, v in sorted(by_seed.items())}) if by_seed else None

    def seeds(self) -> str:
        """Return how many seeds its finished runs have, as `n = 3`."""
        spread = self.spread(say.last)
        return f"n={spread.n}" if spread else ""


def mean(group: Group, which: Callable[[Row], float | None]) -> float | None:
    """Return the mean that groups are sorted by."""
    spread = group.spread(which)
    return None if spread is None else spread.mean


def arrange(rows: Iterable[Row], toggled: set[str], order: Callable[[list[Row]], list[Row]]) -> list[Row]:
    """Return lines: study headings, their arms, and the runs of those that are opened.

    Args:
        rows: runs, newest first; studies follow their newest run.
        toggled: keys of groups that are not as they are at first: studies open, arms closed.
        order: sorts lines of one level.
    """
    studies: dict[str, Group] = {}
    arms: dict[str, dict[str, Group]] = {}
    for row in rows:
        study_key, arm_key = row["groups"]
        study = studies.get(study_key)
        if study is None:
            study = studies[study_key] = Group(study_key, 0, row.get("study", ""))
            arms[study_key] = {}
        arm = arms[study_key].get(arm_key)
        if arm is None:
            arm = arms[study_key][arm_key] = Group(arm_key, 1, say.name(row))
        study.runs.append(row)
        arm.runs.append(row)
    lines: list[Row] = []
    for key, study in studies.items():
        study.opened = key not in toggled
        lines.append(study.row)
        if not study.opened:
            continue
        for line in order([arm.row for arm in arms[key].values()]):
            arm = line["group"]
            arm.opened = arm.key in toggled
            lines.append(line)
            if arm.opened:
                lines += order(arm.runs)
    return lines


def summary(group: Group) -> list[tuple[str, str]]:
    """Return what there is to say of a group, as pairs of a label and a text."""
    said = [("runs", f"{plural(len(group.runs), 'run')}: {group.states()}")]
    for label, which in (("last", say.last), ("at best", say.best)):
        spread = group.spread(which)
        if spread is not None:
            said.append((f"balanced accuracy, {label}", f"{spread.text(4)}   n = {spread.n}"))
    return said


__all__: list[Any] = ["Group", "arrange", "mean", "summary"]
