"""Whenever a trainer is killed while it saves: the newest whole checkpoint loads."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch

from imbtui.engine.checkpoint import Checkpoints
from imbtui.paths import RunPaths, RunsPaths

MakeRuns = Callable[..., list[RunPaths]]


def newest(run: RunPaths) -> int:
    """Load last.pt as a resumed run does and return its step; 0 when none was ever written."""
    checkpoints = Checkpoints(run.checkpoints, writes=True, device=torch.device("cpu"), every=None)
    assert not list(run.checkpoints.glob(".tmp-*")), "swept by whoever goes on"
    state = checkpoints.under_way("train")
    if state is None:
        return 0
    weights = state["objective"]["weight"]
    assert weights.shape == (500, 1000)
    assert bool((weights == state["step"]).all()), "the weights are those of its step"
    return int(state["step"])


def test_killed_at_every_write_point_of_a_save_the_newest_checkpoint_loads(
    runs: RunsPaths, make_runs: MakeRuns, kill_everywhere: Any
) -> None:
    (run,) = make_runs()
    before = [0]

    def remember() -> None:
        before.append(newest(run))

    def check() -> None:
        assert newest(run) in range(before[-1], before[-1] + 3)

    assert kill_everywhere(remember, check, "save", run.id) >= 10
    assert before[-1] > before[1]


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.slow)])
def test_killed_at_random_moments_while_it_saves_no_acknowledged_checkpoint_is_lost(
    runs: RunsPaths, make_runs: MakeRuns, executioner: Any, kills: int
) -> None:
    (run,) = make_runs()
    chance = random.Random(0)
    trainer = executioner("save_forever", run.id)
    for _ in range(kills):
        acknowledged = int(trainer.kill("after", chance.uniform(0, 0.1)))
        assert acknowledged <= newest(run) <= acknowledged + 1
