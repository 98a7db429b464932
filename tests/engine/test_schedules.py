"""Schedules are closed formulas of a tick."""

from __future__ import annotations

import pytest

from imbtui.engine.optim import lr_at
from imbtui.engine.tick import Tick
from imbtui.recipe.schema import Schedule


def tick(step: int, per_epoch: int = 10, epochs: int = 200) -> Tick:
    return Tick("train", step, per_epoch, per_epoch * epochs)


def test_the_paper_s_schedule_epoch_by_epoch() -> None:
    """cao2019 §5: warm-up over 5 epochs, x0.01 after 160, x0.0001 after 180, counted from 1."""
    schedule = Schedule(warmup_epochs=5, milestones=[160, 180], factor=[0.01, 0.0001])
    for epoch in range(200):
        e = epoch + 1
        expected = 0.1 * (e / 5 if e <= 5 else 1 if e <= 160 else 0.01 if e <= 180 else 0.0001)
        for step in (epoch * 10, epoch * 10 + 9):
            assert lr_at(schedule, 0.1, tick(step)) == pytest.approx(expected, rel=1e-12), epoch


def test_points_in_time_in_all_three_units() -> None:
    t = tick(48 * 10, epochs=80)
    assert t.reached(48)
    assert t.reached("60%")
    assert t.reached("480it")
    before = tick(48 * 10 - 1, epochs=80)
    assert not before.reached(48)
    assert not before.reached("60%")
    assert not before.reached("480it")


def test_a_single_factor_multiplies_at_each_milestone() -> None:
    schedule = Schedule(milestones=["10it", "20it"], factor=0.5)
    assert [lr_at(schedule, 1.0, tick(s)) for s in (9, 10, 19, 20)] == [1.0, 0.5, 0.5, 0.25]


def test_drops_after_every_interval() -> None:
    """zhang2017 §4: x0.95 every epoch; arpit2017 §3: halved every 15."""
    daily, rare = Schedule(name="step", factor=0.95), Schedule(name="step", factor=0.5, every=15)
    assert [lr_at(daily, 1.0, tick(s)) for s in (9, 10, 35)] == pytest.approx([1, 0.95, 0.95**3])
    assert [lr_at(rare, 1.0, tick(s)) for s in (149, 150, 300)] == [1, 0.5, 0.25]


def test_a_list_of_factors_is_for_milestones() -> None:
    with pytest.raises(ValueError, match="one factor a milestone"):
        Schedule(name="step", factor=[0.5])


def test_cosine_inverse_sqrt_and_step_wise_warm_up() -> None:
    assert lr_at(Schedule(name="cosine"), 1.0, tick(1000)) == pytest.approx(0.5)
    assert lr_at(Schedule(name="inverse_sqrt", scale=100), 1.0, tick(300)) == pytest.approx(0.5)
    assert lr_at(Schedule(warmup="100it"), 1.0, tick(25)) == pytest.approx(0.25)


def test_inverse_sqrt_in_steps() -> None:
    """nakkiran2019 §8 C."""
    schedule = Schedule(name="inverse_sqrt", scale=512, stepwise=True)
    rates = [lr_at(schedule, 0.1, tick(step)) for step in (0, 511, 512, 1023, 2048)]
    assert rates == pytest.approx([0.1, 0.1, 0.0707106781, 0.0707106781, 0.0447213595], abs=1e-10)


def test_intervals_complete_at_multiples_and_at_the_end() -> None:
    due = [s for s in range(25) if Tick("train", s, 10, 25).due("8it")]
    assert due == [7, 15, 23, 24]
