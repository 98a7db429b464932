"""Whether two sides differ, when nobody said beforehand which is larger."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from imbtui import text
from imbtui.verdict.kinds import NO_VARIANCE
from imbtui.verdict.statistics import ALPHA, Mean


@dataclass(frozen=True)
class Difference:
    """One side minus another, seed by seed.

    Attributes:
        per_seed: the difference in each seed that both sides have.
        mean: over these seeds; None without any.
        low, high: two-sided 95 % confidence interval; None for fewer than two seeds.
        p: of the two-sided paired t test, not corrected for other comparisons; None where none was possible.
        test: name of the test.
        reason: why there is no test.
    """

    per_seed: Mapping[int, float] = field(default_factory=dict)
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    test: str = ""
    reason: str = ""

    @property
    def n(self) -> int:
        return len(self.per_seed)

    @property
    def significant(self) -> bool:
        """Whether 0 lies outside the interval."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high

    def mean_text(self) -> str:
        """Return `+0.125`, or nothing."""
        return "" if self.mean is None else ("+" if self.mean >= 0 else "") + text.number(self.mean, 3)

    def interval_text(self) -> str:
        """Return `[0.091, 0.158]`, or nothing."""
        if self.low is None or self.high is None:
            return ""
        return f"[{text.number(self.low, 3)}, {text.number(self.high, 3)}]"

    def p_text(self) -> str:
        """Return `p = 0.012`, or why there is none."""
        if self.p is None:
            return self.reason
        return text.p_value(self.p)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON document."""
        document = {name: getattr(self, name) for name in ("mean", "low", "high", "p")}
        finite = {k: v if v is not None and math.isfinite(v) else None for k, v in document.items()}
        per_seed = {str(seed): value for seed, value in self.per_seed.items()}
        return {**finite, "n": self.n, "test": self.test, "reason": self.reason, "per_seed": per_seed}


def paired(side: Mapping[int, float], other: Mapping[int, float]) -> Difference:
    """Compare two sides by the seeds that both have.

    Args:
        side, other: values by seed.
    """
    seeds = sorted(set(side) & set(other))
    per_seed = {seed: side[seed] - other[seed] for seed in seeds}
    values = list(per_seed.values())
    if not seeds:
        return Difference(reason="no seed in common")
    if not all(map(math.isfinite, values)):
        return Difference(per_seed, reason="not a finite number")
    if len(seeds) < 2:
        return Difference(per_seed, values[0], reason="one seed in common")
    size = max(abs(value) for seed in seeds for value in (side[seed], other[seed]))
    mean = Mean(values, size)
    low, high = mean.bounds(ALPHA / 2)
    if not mean.varies:
        return Difference(per_seed, mean.mean, low, high, test=NO_VARIANCE, reason="no variance")
    p = min(1.0, 2 * min(mean.p_above(0.0), mean.p_below(0.0)))
    return Difference(per_seed, mean.mean, low, high, p, "paired t test, two-sided")
