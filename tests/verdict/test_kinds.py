"""Each kind of claim on made-up measurements: what it concludes, and how often it is wrong by chance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from imbtui.members import Member
from imbtui.recipe import Claim
from imbtui.verdict import Verdict, judge

KEY = "train.epochs"


@dataclass
class Measured:
    """A finished run that holds the one metric `y`."""

    metrics: Mapping[str, Any]
    id: str = "made-up"
    state: str = "finished"
    path: Any = None
    best: Mapping[str, Any] = field(default_factory=dict)
    env: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)


def arms(**values: Sequence[float]) -> list[Member]:
    return [Member(a, {}, s, Measured({"y": v})) for a, vs in values.items() for s, v in enumerate(vs)]


def grid(x: Sequence[Any], curves: Any) -> list[Member]:
    """Members without arms; `curves` is (seeds, points)."""
    return [
        Member(None, {KEY: at}, s, Measured({"y": float(v)}))
        for s, curve in enumerate(curves)
        for at, v in zip(x, curve, strict=True)
    ]


def claim(kind: str, **keys: Any) -> Claim:
    return Claim.model_validate({"says": "it is so", "kind": kind, "metric": "y", **keys})


def says(kind: str, members: list[Member], **keys: Any) -> Verdict:
    return judge(claim(kind, **keys), members)


class TestOrder:
    def test_held(self) -> None:
        members = arms(A=[0.84, 0.86, 0.83, 0.85, 0.84], B=[0.70, 0.74, 0.69, 0.71, 0.70])
        verdict = says("order", members, arm="A", above="B", margin=0.05)
        assert verdict.verdict == "held"
        assert verdict.effect == pytest.approx(0.136)
        assert verdict.low is not None and verdict.low > 0.05 and verdict.p is not None and verdict.p < 1e-4
        assert (verdict.n, verdict.test, verdict.wants) == (5, "paired t test, one-sided", "A - B > 0.05")
        assert verdict.per_seed[1] == pytest.approx(0.12)

    def test_below_mirrors_above(self) -> None:
        members = arms(A=[0.1, 0.2, 0.15], B=[0.4, 0.45, 0.5])
        one = says("order", members, arm="A", below="B", margin=0.1)
        other = says("order", members, arm="B", above="A", margin=0.1)
        assert one.verdict == other.verdict == "held"
        assert one.p == pytest.approx(other.p)
        assert one.effect == pytest.approx(-other.effect) and one.wants == "A - B < -0.1"  # type: ignore[operator]

    def test_did_not_hold_is_not_undecided(self) -> None:
        members = arms(A=[0.71, 0.72, 0.70, 0.71], B=[0.70, 0.70, 0.70, 0.69])
        assert says("order", members, arm="A", above="B", margin=0.05).verdict == "did not hold"
        assert says("order", members, arm="A", above="B", margin=0.012).verdict == "undecided"
        assert says("order", members, arm="A", above="B").verdict == "held"

    def test_pairing_by_seed_matters(self) -> None:
        b = [0.2, 0.5, 0.8, 0.3]
        members = arms(A=[v + d for v, d in zip(b, [0.02, 0.03, 0.02, 0.03], strict=True)], B=b)
        assert says("order", members, arm="A", above="B").verdict == "held"

    def test_factor_tests_the_means(self) -> None:
        members = arms(A=[0.09, 0.10, 0.11, 0.10], B=[1.0, 1.1, 0.9, 1.0])
        assert says("order", members, arm="A", below="B", factor=0.4).verdict == "held"
        assert says("order", members, arm="A", below="B", factor=0.01).verdict == "did not hold"
        zero = arms(A=[0.5, 0.6, 0.5], B=[0.0, 0.1, 0.0])
        assert says("order", zero, arm="A", above="B", factor=2).verdict == "held"

    def test_every_one_of_several_must_be_exceeded(self) -> None:
        members = arms(A=[0.8, 0.81, 0.82], B=[0.5, 0.52, 0.51], C=[0.79, 0.82, 0.81], D=[0.95, 0.94, 0.96])
        assert says("order", members, arm="A", above=["B"]).verdict == "held"
        both = says("order", members, arm="A", above=["B", "C"])
        assert (
            both.verdict == "undecided" and both.wants.startswith("A - C") and "weakest of 2" in both.reason
        )
        assert says("order", members, arm="A", above=["B", "C", "D"]).verdict == "did not hold"

    def test_a_tie_without_variance_does_not_hold(self) -> None:
        members = arms(A=[0.3, 0.4], B=[0.25, 0.35])
        tie = says("order", members, arm="A", above="B", margin=0.05)
        assert tie.verdict == "did not hold" and tie.p is None and "no variance" in tie.test
        assert says("order", members, arm="A", above="B", margin=0.04).verdict == "held"

    def test_tables_choose_grid_points(self) -> None:
        members = grid([8, 256], [[1.0, 0.1], [1.1, 0.12], [0.9, 0.09]])
        fading = says("order", members, arm={KEY: 256}, below={KEY: 8}, factor=0.4)
        assert fading.verdict == "held" and fading.wants == "epochs = 256 - 0.4 * epochs = 8 < 0"

    def test_open_grid_points_are_averaged_and_do_not_add_seeds(self) -> None:
        members = [
            Member(a, {KEY: k}, s, Measured({"y": base + 0.01 * s * s + k}))
            for a, base in (("A", 0.5), ("B", 0.4))
            for k in (1, 2)
            for s in range(3)
        ]
        verdict = says("order", members, arm="A", above="B")
        assert verdict.n == 3 and "mean over 2 runs a seed" in verdict.reason

    def test_a_table_without_an_arm_means_the_other_sides(self) -> None:
        members = [
            Member(a, {KEY: k}, s, Measured({"y": k * slope + 0.01 * s * k}))
            for a, slope in (("A", 1.0), ("B", -1.0))
            for k in (1, 2)
            for s in range(3)
        ]
        assert says("order", members, arm={"arm": "A", KEY: 2}, above={KEY: 1}).verdict == "held"
        assert says("order", members, arm={"arm": "B", KEY: 2}, above={KEY: 1}).verdict == "did not hold"


class TestNear:
    def test_equivalence(self) -> None:
        members = arms(A=[0.50, 0.52, 0.51, 0.50], B=[0.51, 0.51, 0.50, 0.51])
        assert says("near", members, arm="A", to="B", within=0.03).verdict == "held"
        assert says("near", members, arm="A", to="B", within=0.005).verdict == "undecided"
        assert says("near", members, arm="A", to=0.3, within=0.1).verdict == "did not hold"
        assert says("near", members, arm="A", to=0.5, within=0.1).test == "two one-sided t tests"

    def test_exactly_equal_is_within_zero(self) -> None:
        members = arms(A=[1.0, 1.0, 1.0])
        assert says("near", members, arm="A", to=1, within=0).verdict == "held"
        assert says("near", arms(A=[1.0, 1.0, 0.9]), arm="A", to=1, within=0).verdict == "undecided"
        assert says("near", arms(A=[0.9, 0.9]), arm="A", to=1, within=0.05).verdict == "did not hold"


class TestBound:
    def test_values(self) -> None:
        members = arms(A=[0.96, 0.97, 0.98])
        assert says("bound", members, above=0.9).verdict == "held"
        assert says("bound", members, above=0.97).verdict == "undecided"
        assert says("bound", members, arm="A", below=0.9).verdict == "did not hold"

    def test_an_expression_names_its_own_arms(self) -> None:
        members = arms(A=[3.0, 3.1, 2.9], B=[1.0, 1.0, 1.0])
        ratio = judge(claim("bound", metric='m("y", arm="A") / m("y", arm="B")', above=2), members)
        assert ratio.verdict == "held" and ratio.n == 3
        unclear = says("bound", members, above=2)
        assert unclear.verdict == "not run" and "which arm" in unclear.reason


class TestTrend:
    def test_direction(self) -> None:
        rising = [[1, 2, 3, 10], [1, 3, 5, 9], [0, 2, 4, 8]]
        members = grid([8, 1, 2, 4], [[c[3], *c[:3]] for c in rising])  # the grid need not be sorted
        assert says("trend", members, over=KEY, direction="increasing").verdict == "held"
        assert says("trend", members, over=KEY, direction="decreasing").verdict == "did not hold"

    def test_a_clear_step_back_refutes_it(self) -> None:
        curves = [[0, 5, 3.0 + 0.1 * s, 9] for s in range(4)]
        verdict = says("trend", grid([1, 2, 3, 4], curves), over=KEY, direction="increasing")
        assert verdict.verdict == "did not hold" and verdict.reason == f"it falls from {KEY} = 2 to 3"

    def test_a_plateau_with_noise_does_not(self) -> None:
        rng = np.random.default_rng(0)
        curves = [np.array([0.1, 0.5, 0.9, 0.9]) + rng.normal(0, 0.01, 4) for _ in range(6)]
        assert says("trend", grid([1, 2, 3, 4], curves), over=KEY, direction="increasing").verdict == "held"

    def test_agreeing_seeds_rise_at_every_step(self) -> None:
        curves = [[1, 2, 3], [1, 3, 2.9], [1, 2, 4]]
        members = grid([1, 2, 3], curves)
        assert says("trend", members, over=KEY, direction="increasing").agreeing == 2
        assert says("trend", members, over=KEY, direction="increasing", agree=3).verdict == "undecided"

    def test_words_keep_the_order_of_the_grid(self) -> None:
        members = grid(["none", "little", "much"], [[1, 2, 3.0], [1, 2, 3.5], [0, 2, 3]])
        assert says("trend", members, over=KEY, direction="increasing").verdict == "held"

    def test_log_log_slope(self) -> None:
        curves = [[c / k * (1 + 0.001 * (k == 9)) for k in (5, 9, 15)] for c in (0.99, 1.0, 1.01)]
        members = grid([5, 9, 15], curves)
        inside = says("trend", members, over=KEY, slope=[-1.05, -0.95], scale="log-log")
        assert (
            inside.verdict == "held" and inside.effect == pytest.approx(-1, abs=0.01) and inside.agreeing == 3
        )
        outside = says("trend", members, over=KEY, slope=[-0.1, 0.1], scale="log-log")
        assert outside.verdict == "did not hold"

    def test_no_logarithm_of_zero(self) -> None:
        members = grid([1, 2, 4], [[0.0, 0.1, 0.2], [0.1, 0.2, 0.3]])
        verdict = says("trend", members, over=KEY, slope=[0, 1], scale="log-log")
        assert verdict.verdict == "undecided" and "not positive" in verdict.reason


class TestPeak:
    CURVES = [[0.1, 0.2, 0.8, 0.3, 0.2], [0.12, 0.22, 0.85, 0.3, 0.25], [0.1, 0.25, 0.82, 0.35, 0.2]]

    def test_an_inner_maximum(self) -> None:
        verdict = says("peak", grid([1, 2, 3, 4, 5], self.CURVES), over=KEY)
        assert verdict.verdict == "held" and verdict.agreeing == 3
        assert verdict.effect == pytest.approx(0.6067, abs=1e-4)  # above the higher end
        assert verdict.low is not None and verdict.low > 0

    def test_where(self) -> None:
        members = grid([1, 2, 3, 4, 5], self.CURVES)
        assert says("peak", members, over=KEY, where=3).verdict == "held"
        assert says("peak", members, over=KEY, where=[3, 4]).verdict == "held"
        # 4 is above both ends too, but the maximum is elsewhere.
        assert says("peak", members, over=KEY, where=4).verdict == "did not hold"
        assert "no inner point" in says("peak", members, over=KEY, where=5).reason

    def test_monotone_is_no_peak(self) -> None:
        members = grid([1, 2, 3], [[1, 2, 3.0], [1, 2, 3.1], [1, 2.1, 3]])
        assert says("peak", members, over=KEY).verdict == "did not hold"

    def test_one_seed_has_an_effect_and_no_decision(self) -> None:
        verdict = says("peak", grid([1, 2, 3], [[0.1, 0.5, 0.2]]), over=KEY)
        assert verdict.verdict == "undecided" and verdict.effect == pytest.approx(0.3)


class TestDoubleDescent:
    """nakkiran2019 §2."""

    GRID = (4, 6, 8, 12, 16, 128)
    # Test errors that the specification measured (§9 B), and training errors, in three seeds.
    ERRORS = (
        (0.375, 0.309, 0.351, 0.400, 0.361, 0.268),
        (0.276, 0.280, 0.323, 0.325, 0.315, 0.248),
        (0.288, 0.298, 0.274, 0.348, 0.336, 0.202),
    )
    FITS = ((0.31, 0.21, 0.05, 0, 0, 0), (0.24, 0.16, 0.09, 0, 0, 0), (0.29, 0.14, 0.14, 0, 0, 0))

    def members(self) -> list[Member]:
        return [
            Member(None, {KEY: at}, s, Measured({"y": e, "fit": f}))
            for s, (errors, fits) in enumerate(zip(self.ERRORS, self.FITS, strict=True))
            for at, e, f in zip(self.GRID, errors, fits, strict=True)
        ]

    def test_the_table_of_the_specification(self) -> None:
        by_training_error = {"metric": "fit", "below": 0.01}
        for threshold in (12, by_training_error):
            verdict = says("peak", self.members(), over=KEY, where=12, threshold=threshold)
            assert verdict.verdict == "held" and verdict.agreeing == 3
            assert list(verdict.per_seed.values()) == pytest.approx([0.091, 0.049, 0.074])
            assert verdict.p == pytest.approx(0.014, abs=0.001)
            assert verdict.reason == f"fits from {KEY} = 12 on; peak on average at 12"

    def test_a_peak_elsewhere_is_not_the_one_claimed(self) -> None:
        verdict = says("peak", self.members(), over=KEY, where=16, threshold=12)
        assert verdict.verdict == "undecided" and verdict.agreeing == 0

    def test_a_monotone_curve_has_none(self) -> None:
        falling = grid([1, 2, 3, 4], [[0.4, 0.3, 0.2, 0.1], [0.41, 0.32, 0.2, 0.1], [0.4, 0.3, 0.21, 0.1]])
        assert says("peak", falling, over=KEY, threshold=2).verdict == "did not hold"

    def test_without_models_on_both_sides_it_is_undecided(self) -> None:
        for threshold in (4, {"metric": "y", "below": 0.1}):
            verdict = says("peak", self.members(), over=KEY, threshold=threshold)
            assert verdict.verdict == "undecided"
        assert "does not stay at or below 0.1" in verdict.reason
        assert "nothing lies below" in says("peak", self.members(), over=KEY, threshold=4).reason

    def test_the_largest_size_that_fits_is_the_complexity(self) -> None:
        training = grid([100, 200, 300, 400], [[0, 0.12, 0.09, 0.3], [0, 0.05, 0.1, 0.3]])
        keys = {"over": KEY, "event": "<= 0.1"}
        assert says("near", training, arm={}, to=300, within=0, **keys).verdict == "held"
        assert says("bound", training, above=299, **keys).verdict == "held"
        assert says("bound", training, above=300, **keys).verdict == "did not hold"
        nowhere = says("bound", training, above=1, over=KEY, event="<= -1")
        assert nowhere.verdict == "undecided" and "happens nowhere in seed 0, 1" in nowhere.reason


class TestCount:
    def test_thilak2022(self) -> None:
        """thilak2022 §9: at least three spikes in 3 of 3 seeds against 0 of 6 pooled controls, p = 1/84."""
        members = arms(small=[4, 3, 3], large=[0, 0, 0], sgd=[0, 0, 0])
        verdict = says("count", members, arm="small", event=">= 3", against=["large", "sgd"])
        assert verdict.verdict == "held" and verdict.p == pytest.approx(1 / 84)
        assert verdict.effect == 1.0 and verdict.reason == "3 of 3 runs against 0 of 6"

    def test_the_other_way_round(self) -> None:
        members = arms(A=[0] * 5, B=[1] * 5)
        assert says("count", members, arm="A", event="> 0", against="B").verdict == "did not hold"
        assert says("count", members, arm="A", event="> 5", against="B").verdict == "undecided"


def test_one_seed_decides_nothing() -> None:
    verdict = says("order", arms(A=[0.9], B=[0.1]), arm="A", above="B")
    assert verdict.verdict == "undecided" and verdict.effect == pytest.approx(0.8)
    assert verdict.p is None and verdict.low is None and verdict.n == 1


@pytest.mark.parametrize("broken", [math.nan, math.inf, None])
def test_a_value_that_is_no_number_leaves_it_undecided(broken: float | None) -> None:
    members = arms(A=[0.9, 0.9, 0.91], B=[0.1, broken, 0.1])  # type: ignore[list-item]
    verdict = says("order", members, arm="A", above="B")
    assert verdict.verdict == "undecided" and "B, seed 1" in verdict.reason


def test_agreement_comes_on_top_of_the_test() -> None:
    members = arms(A=[0.9, 0.8, 0.9, 0.8, 0.501, 0.9], B=[0.5] * 4 + [0.502, 0.5])
    assert says("order", members, arm="A", above="B", agree=5).verdict == "held"
    short = says("order", members, arm="A", above="B", agree=6)
    assert short.verdict == "undecided" and "5 of 6 seeds agree, 6 are asked for" in short.reason
    # The sign is that of the difference; the margin is the test's business.
    assert says("order", members, arm="A", above="B", margin=0.2, agree=5).agreeing == 5


def test_agreement_can_replace_the_test() -> None:
    members = arms(A=[0.55, 0.9, 0.7], B=[0.5, 0.5, 0.5])
    rule = {"rule": "agree", "why": "the spec says in every seed"}
    assert says("order", members, arm="A", above="B").verdict == "undecided"
    held = says("order", members, arm="A", above="B", agree=3, **rule)
    assert held.verdict == "held" and held.p is None and held.test == "the same sign in 3 seeds"
    beyond = says("order", members, arm="A", above="B", margin=0.1, agree=3, **rule)
    assert beyond.verdict == "did not hold" and beyond.agreeing == 2
    assert says("order", members, arm="A", above="B", agree=4, **rule).verdict == "undecided"


def test_negative_controls_are_flagged() -> None:
    verdict = judge(claim("bound", above=0, **{"assert": False}), arms(A=[1.0, 2.0]))
    assert verdict.asserted is False and verdict.to_json()["asserted"] is False


def wrong_share(trials: int, draw: Any, **keys: Any) -> float:
    """Share of made-up studies, in each of which the claim is just not true, that end as `held`."""
    wanted = Claim.model_validate({"says": "it is so", "metric": "y", **keys})
    return sum(judge(wanted, draw()).verdict == "held" for _ in range(trials)) / trials


TRIALS = 600
# Three binomial standard errors above 5 %.
AT_MOST = 0.05 + 3 * math.sqrt(0.05 * 0.95 / TRIALS)


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_false_positives_of_comparisons(seeds: int) -> None:
    rng = np.random.default_rng(seeds)

    def draw() -> list[Member]:
        common = rng.normal(0.7, 0.1, seeds)
        return arms(A=common + rng.normal(0.05, 0.02, seeds), B=common, C=common - 0.3)

    compared = {"kind": "order", "arm": "A", "margin": 0.05}
    assert 0.02 < wrong_share(TRIALS, draw, above="B", **compared) < AT_MOST
    assert wrong_share(TRIALS, draw, above=["B", "C"], **compared) < AT_MOST
    assert wrong_share(TRIALS, draw, kind="near", arm="A", to="B", within=0.05) < AT_MOST
    assert wrong_share(TRIALS, draw, kind="bound", arm="A", below=0.75) < AT_MOST


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_false_positives_over_a_grid(seeds: int) -> None:
    rng = np.random.default_rng(seeds)
    x = [1, 2, 4, 8, 16]

    def flat() -> list[Member]:
        return grid(x, rng.normal(1, 0.1, (seeds, 5)))

    def own_trends() -> list[Member]:
        """Every seed has a clear trend of its own, up or down: none on average."""
        return grid(x, rng.normal(0, 1, (seeds, 1)) * np.arange(5) + rng.normal(10, 0.01, (seeds, 5)))

    def plateau() -> list[Member]:
        """Rises and stays: its right end is as high as the inner points."""
        return grid(x, np.array([0, 0.8, 1, 1, 1]) + rng.normal(0, 0.05, (seeds, 5)))

    trend = {"kind": "trend", "over": KEY, "direction": "increasing"}
    assert wrong_share(TRIALS, flat, **trend) < AT_MOST
    assert wrong_share(TRIALS, own_trends, **trend) < AT_MOST
    assert wrong_share(TRIALS, flat, kind="peak", over=KEY) < AT_MOST
    assert wrong_share(TRIALS, plateau, kind="peak", over=KEY) < AT_MOST


def test_false_refutations() -> None:
    """A claim that is just true is called `did not hold` in at most 5 % of the studies."""
    rng = np.random.default_rng(0)

    def share(draw: Any, **keys: Any) -> float:
        wanted = Claim.model_validate({"says": "it is so", "metric": "y", **keys})
        return sum(judge(wanted, draw()).verdict == "did not hold" for _ in range(TRIALS)) / TRIALS

    def pair() -> list[Member]:
        return arms(A=rng.normal(0.05, 0.02, 5), B=np.zeros(5))

    def step() -> list[Member]:
        return grid([1, 2, 3, 4], np.array([0, 1, 1, 1]) + rng.normal(0, 0.1, (5, 4)))

    def bump() -> list[Member]:
        return grid([1, 2, 3, 4], rng.normal(1, 0.1, (5, 4)))

    assert share(pair, kind="order", arm="A", above="B", margin=0.05) < AT_MOST
    assert share(pair, kind="near", arm="A", to="B", within=0.05) < AT_MOST
    assert share(step, kind="trend", over=KEY, direction="increasing") < AT_MOST
    assert share(bump, kind="peak", over=KEY) < AT_MOST


def test_false_positives_of_counts() -> None:
    rng = np.random.default_rng(1)

    def draw() -> list[Member]:
        return arms(A=rng.random(5), B=rng.random(5), C=rng.random(5))

    assert wrong_share(200, draw, kind="count", arm="A", event="> 0.5", against=["B", "C"]) < AT_MOST
