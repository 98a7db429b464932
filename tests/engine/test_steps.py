"""What the engine adds to a step of a tiny network."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest


@pytest.mark.slow
def test_a_step_takes_little_more_than_in_a_bare_loop(load_benchmark: Callable[[str], ModuleType]) -> None:
    steps = load_benchmark("steps")
    assert steps.ratios(steps.measure(3000, rounds=5))["engine"] <= 1.3
