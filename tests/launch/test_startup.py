"""What packs are for: the later runs of a launch do not pay for launching."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest


@pytest.mark.slow
def test_later_runs_of_a_launch_reach_their_first_step_thirty_times_sooner(
    load_benchmark: Callable[[str], ModuleType],
) -> None:
    found = load_benchmark("launch").figures(10)
    assert found["later"] < found["alone"] / 30, found
