"""What a verdict says, and the four words it says it with."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from imbtui import text

HELD = "held"
DID_NOT_HOLD = "did not hold"
UNDECIDED = "undecided"
NOT_RUN = "not run"


@dataclass(frozen=True)
class Verdict:
    """A claim after looking at its runs.

    Attributes:
        study, paper: where the claim is from.
        says, kind, metric: the claim.
        verdict: `held`, `did not hold`, `undecided` or `not run`.
        wants: what the effect is and what it has to be, e.g. `LDAM - CE > 0.05`.
        effect: mean over seeds, in the metric's unit; None when nothing could be computed.
        low, high: one-sided 95 % bounds of the effect (together a 90 % interval); None for one seed.
        p: None where no test was needed or possible.
        n: seeds.
        test: name of the test.
        asserted: false for a negative control: shown, never asserted.
        reason: why it is undecided or not run, and what else a reader must know.
        per_seed: the effect in each seed.
        agreeing: seeds whose own effect has the claimed sign.
    """

    study: str
    paper: str
    says: str
    kind: str
    metric: str
    verdict: str
    wants: str = ""
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    n: int = 0
    test: str = ""
    asserted: bool = True
    reason: str = ""
    per_seed: dict[int, float] = field(default_factory=dict)
    agreeing: int = 0

    def figures(self) -> str:
        """Return what stands behind it in one line: effect, interval, p, n, test, and the reason."""
        parts = []
        if self.effect is not None:
            interval = ""
            if self.low is not None and self.high is not None:
                interval = f" [{text.number(self.low, 3)}, {text.number(self.high, 3)}]"
            wants = f"{self.wants}: " if self.wants else ""
            parts.append(f"{wants}{text.number(self.effect, 3)}{interval}")
            if self.p is not None:
                parts.append(text.p_value(self.p))
            parts.append(f"n = {self.n}")
            if self.test:
                parts.append(self.test)
        if self.reason:
            parts.append(self.reason)
        return ", ".join(parts)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON document; what is no finite number becomes null."""
        document = dict(vars(self))
        for key in ("effect", "low", "high", "p"):
            document[key] = _finite(document[key])
        document["per_seed"] = {str(seed): _finite(value) for seed, value in self.per_seed.items()}
        return document


def overall(verdicts: Iterable[Verdict]) -> str:
    """Return one word for several claims: `held` when all asserted ones held, else the worst of them.

    From bad to good: did not hold, undecided, not run, held. Without asserted claims: `not run`.
    """
    said = {v.verdict for v in verdicts if v.asserted}
    return next((word for word in (DID_NOT_HOLD, UNDECIDED, NOT_RUN, HELD) if word in said), NOT_RUN)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
