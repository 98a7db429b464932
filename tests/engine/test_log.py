"""How large the metrics of a long run become."""

from __future__ import annotations

from pathlib import Path

import pytest

from imbtui.engine import log
from imbtui.engine.log import MetricsLog


def test_rows_beside_evaluations_become_rarer_and_stay_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A day of 500,000 steps."""
    now = [0.0]
    monkeypatch.setattr(log.time, "monotonic", lambda: now[0])
    metrics = MetricsLog(tmp_path / "metrics.jsonl")
    day, steps = 86_400, 500_000
    rows, hour = 0, 0
    for step in range(steps):
        now[0] = (step + 1) * day / steps
        if metrics.is_due():
            metrics.write("train", step, step, {"running/loss": 0.1})
            rows += 1
            hour += now[0] < 3600
    assert 2500 < hour < 3200, "an hour's rows are a second apart, then rarer"
    assert rows < 7000
    assert metrics.writer.size() < 1_000_000
