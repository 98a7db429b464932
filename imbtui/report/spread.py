"""Mean and standard deviation over seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imbtui.members import Member, Run
from imbtui.metrics import NotMeasured, Reader
from imbtui.verdict import expression


@dataclass(frozen=True)
class Spread:
    """A metric over seeds.

    Attributes:
        values: by seed; where a seed has several runs, their mean.
    """

    values: Mapping[int, float]

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def mean(self) -> float:
        return math.fsum(self.values.values()) / self.n

    @property
    def sd(self) -> float | None:
        """Standard deviation over seeds (n - 1); None for a single seed."""
        if self.n < 2:
            return None
        mean = self.mean
        return math.sqrt(math.fsum((v - mean) ** 2 for v in self.values.values()) / (self.n - 1))

    def text(self, digits: int = 3, *, sign: str = " ± ") -> str:
        """Return `0.842 ± 0.012`, or the one value of a single seed."""
        return number(self.mean, digits) + ("" if self.sd is None else sign + number(self.sd, digits))

    def to_json(self) -> dict[str, Any]:
        """Return mean, sd, n and the values by seed; what is not finite becomes null."""

        def plain(value: float | None) -> float | None:
            return value if value is not None and math.isfinite(value) else None

        values = {str(seed): plain(value) for seed, value in self.values.items()}
        return {"mean": plain(self.mean), "sd": plain(self.sd), "n": self.n, "values": values}


def spread(
    members: Iterable[Member],
    metric: str,
    *,
    at: str = "last",
    stage: str | None = None,
    among: Sequence[Member] = (),
    reader: Reader,
) -> tuple[Spread | None, list[str]]:
    """Return a metric over the seeds of finished members, and a sentence for each that lacks it.

    Args:
        members: those that did not finish are passed over.
        metric: its name, or an expression as in claims.
        at, stage: which value of a curve is meant where the expression does not say it, see `metrics.pick`.
        among: members of the study, where an expression may name another arm.
        reader: reads the runs.

    Raises:
        UserError: `at` is no selector, or the metric no expression.
    """
    measured = expression.parse(metric)

    def value(member: Member) -> float:
        return measured.evaluate(
            lambda asked: asked.read(_meant(asked.arm, member, among), reader, at=at, stage=stage)
        )

    found: dict[int, list[float]] = {}
    lacking = []
    for member in members:
        if member.finished is None:
            continue
        try:
            found.setdefault(member.seed, []).append(value(member))
        except NotMeasured as error:
            lacking.append(f"{member.label} seed {member.seed}: {error}".strip())
    means = {seed: math.fsum(values) / len(values) for seed, values in sorted(found.items()) if values}
    return (Spread(means) if means else None), lacking


def _meant(arm: str | None, member: Member, among: Sequence[Member]) -> Run:
    """Return the finished run of a member, or of the one that differs from it in its arm.

    Raises:
        NotMeasured: there is none.
    """
    candidates = [member] if arm in (None, member.arm) else among
    for other in candidates:
        alike = other.seed == member.seed and other.point == member.point
        if alike and other.arm == (arm or member.arm) and other.finished is not None:
            return other.finished
    raise NotMeasured(f"the run of {arm} has not finished")


def number(value: float, digits: int = 3) -> str:
    """Return a number with `digits` decimals; large ones without, tiny ones in powers of ten."""
    if not math.isfinite(value):
        return str(value)
    if abs(value) >= 1000:
        return f"{value:.0f}"
    if value and abs(value) < 0.5 * 10**-digits:
        return f"{value:.1e}"
    return f"{value:.{digits}f}"
