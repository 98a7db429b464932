"""A study at a glance: for every arm and grid point, metrics over seeds, at the end and at the best epoch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imbtui.members import Member
from imbtui.metrics import Reader
from imbtui.report.spread import Spread, spread

PREFERRED = (
    "test/balanced_accuracy",
    "test/many_accuracy",
    "test/medium_accuracy",
    "test/few_accuracy",
)


@dataclass(frozen=True)
class Line:
    """One arm at one grid point.

    Attributes:
        states: how many of its runs are in which state (`never run` among them).
        last: metrics after the last epoch.
        best: metrics at each run's best validation epoch; empty without a validation split.
        selected_on: the validation metric that chose those epochs.
    """

    arm: str | None
    point: Mapping[str, Any]
    states: Mapping[str, int]
    last: Mapping[str, Spread]
    best: Mapping[str, Spread]
    selected_on: str | None

    @property
    def asked(self) -> int:
        """Runs that the study asks for."""
        return sum(self.states.values())

    @property
    def finished(self) -> int:
        return self.states.get("finished", 0)

    @property
    def label(self) -> str:
        return Member(self.arm, self.point, 0).label

    def to_json(self) -> dict[str, Any]:
        """Return a JSON document."""
        return {
            "arm": self.arm,
            "point": dict(self.point),
            "states": dict(self.states),
            "last": {name: s.to_json() for name, s in self.last.items()},
            "best": {name: s.to_json() for name, s in self.best.items()},
            "selected_on": self.selected_on,
        }


def summarise(members: Sequence[Member], metrics: Sequence[str] | None = None) -> list[Line]:
    """Return a line for every arm and grid point, in the study's order.

    Args:
        members: runs of one study, finished or not.
        metrics: what to show; None: `main_metrics`.
    """
    wanted = main_metrics(members) if metrics is None else list(metrics)
    groups: dict[str, list[Member]] = {}
    for member in members:
        groups.setdefault(f"{member.arm!r} {sorted(member.point.items())!r}", []).append(member)
    reader = Reader()
    lines = []
    for group in groups.values():
        chosen = [m for m in group if m.finished is not None and m.finished.best.get("selected_on")]
        lines.append(
            Line(
                group[0].arm,
                group[0].point,
                Counter(m.state for m in group),
                _spreads(group, wanted, "last", reader),
                _spreads(chosen, wanted, "best", reader),
                next((str(m.finished.best["selected_on"]) for m in chosen if m.finished is not None), None),
            )
        )
    return lines


def main_metrics(members: Sequence[Member]) -> list[str]:
    """Return what a summary shows: balanced accuracy and its parts, else the first few test metrics."""
    known = {
        name
        for m in members
        if m.finished is not None
        for name, value in m.finished.metrics.items()
        if isinstance(value, int | float) and "/" in name
    }
    preferred = [name for name in PREFERRED if name in known]
    tests = sorted(name for name in known if name.startswith("test/"))
    return preferred or (tests or sorted(known))[: len(PREFERRED)]


def _spreads(members: Sequence[Member], metrics: Sequence[str], at: str, reader: Reader) -> dict[str, Spread]:
    found = {name: spread(members, name, at=at, reader=reader)[0] for name in metrics}
    return {name: value for name, value in found.items() if value is not None}
