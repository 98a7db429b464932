"""The runs that a study asks for, whoever made them.

A run is found by its digest: one that another study or arm made before is the same run. Which arm and grid
point it stands for is therefore the study's to say, not the run folder's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from imbtui import where
from imbtui.metrics import Run as MeasuredRun


class Run(MeasuredRun, Protocol):
    """What is read of a run when runs are compared; `store.RunView` is one."""

    @property
    def state(self) -> str: ...
    @property
    def recipe(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Member:
    """One run that a study asks for.

    Attributes:
        arm: its arm's label; None in a study without arms.
        point: its values of the grid's keys.
        run: the run that stands for it; None: it was never run.
    """

    arm: str | None
    point: Mapping[str, Any]
    seed: int
    run: Run | None = None

    @property
    def state(self) -> str:
        """The run's state, or `never run`."""
        return "never run" if self.run is None else self.run.state

    @property
    def finished(self) -> Run | None:
        """The run, if it finished."""
        return self.run if self.run is not None and self.run.state == "finished" else None

    @property
    def label(self) -> str:
        """Arm and grid point, as in `LDAM, ratio = 100`; empty in a study with neither."""
        parts = [self.arm or "", *(f"{k.rsplit('.', 1)[-1]} = {v}" for k, v in self.point.items())]
        return ", ".join(part for part in parts if part)

    def lookup(self, key: str) -> Any:
        """Return the member's value of `arm`, `seed`, a grid key, or anything `where.lookup` knows."""
        if key == "arm":
            return self.arm
        if key == "seed":
            return self.seed
        if key in self.point:
            return self.point[key]
        return None if self.run is None else where.lookup(self.run, key)


def members_of(record: Mapping[str, Any], runs: Mapping[str, Run]) -> list[Member]:
    """Return a study's members with the runs that stand for them.

    Args:
        record: the study's record, see `recipe.Study.record`.
        runs: runs by digest, see `by_digest`.
    """
    return [
        Member(m.get("arm"), m.get("point", {}), m["seed"], runs.get(m["digest"]))
        for m in record.get("members", [])
    ]


def by_digest(views: Iterable[Any]) -> dict[str, Any]:
    """Return the run that stands for each digest: the newest finished one, else the newest."""
    found: dict[str, Any] = {}
    for view in views:
        known = found.get(view.digest)
        if known is None or _rank(view) > _rank(known):
            found[view.digest] = view
    return found


def _rank(view: Any) -> tuple[bool, int]:
    return view.state == "finished", view.order
