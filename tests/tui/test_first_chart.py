"""What `tests/benchmarks/peers.py` measures of the dashboard, seen from outside in a terminal."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

KEYS = 3


@pytest.mark.slow
def test_a_chart_comes_at_the_start_and_at_every_key(
    load_benchmark: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    peers = load_benchmark("peers")
    monkeypatch.setattr(peers, "IDLE", 2.0)
    [ours] = peers.programs(None, None)
    ours.write(tmp_path, 40)
    for size, small in (((160, 45), False), ((80, 24), True)):
        figures = peers.Figures()
        terminal = peers.Terminal(*size)
        try:
            peers.measure(ours, tmp_path, terminal, KEYS, figures, small)
        finally:
            terminal.close()
        found = figures.values
        assert found["processor"][0] <= 0.8  # seconds; a bare Textual app needs 0.2
        assert found["memory"][0] <= 90  # MB
        assert len(found["key"]) == len(found["chart"]) == KEYS and found["open"]
