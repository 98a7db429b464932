"""The six kinds of claims: each turns per-seed values into evidence for or against it.

The seed is the unit of observation: where a claim does not fix every grid key, its values are first
averaged over the points it leaves open, so that more points never count as more seeds.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from imbtui.errors import UserError
from imbtui.metrics import NAME, parse_comparison
from imbtui.numerics.double_descent import double_descent, interpolation_threshold
from imbtui.verdict import expression
from imbtui.verdict.sample import Conditions, Sample, Undecided, is_number
from imbtui.verdict.statistics import ALPHA, Mean, more_often, share_difference_bounds, slope

if TYPE_CHECKING:
    from imbtui.recipe import Claim

NO_VARIANCE = "by value (no variance between seeds)"


@dataclass(frozen=True)
class Evidence:
    """What the runs say about a claim, before the rules on agreement and on the number of seeds.

    Attributes:
        holds: the test is significant.
        fails: the interval lies wholly on the wrong side.
        agreeing: seeds whose own value has the claimed sign.
        The rest is as in `Verdict`.
    """

    wants: str
    per_seed: dict[int, float]
    effect: float
    agreeing: int
    test: str = ""
    low: float | None = None
    high: float | None = None
    p: float | None = None
    holds: bool = False
    fails: bool = False
    reason: str = ""


def order(claim: Claim, sample: Sample) -> Evidence:
    """A above (or below) B: the per-seed differences A - factor * B exceed the margin.

    One-sided paired t test. With `factor` the difference is A - factor * B, which tests the means as the
    claim states them, and needs no positive values as a ratio would. Against several arms each must be
    exceeded (intersection-union: no correction needed); the weakest comparison is shown.
    """
    metric = expression.parse(claim.metric)
    sign = 1 if claim.above is not None else -1
    other = claim.above if claim.above is not None else claim.below
    factor, margin = claim.factor or 1.0, claim.margin or 0.0
    left = sample.conditions(claim.arm)
    a = sample.means(metric, left)
    sides = other if isinstance(other, list) else [other]
    if not sides:
        raise UserError("there is nothing to compare with")
    b = [_side(sample, metric, side, left, a) for side in sides]
    seeds = sample.ready(a, *(values for values, _ in b))
    found = []
    for values, name in b:
        times = "" if factor == 1 else f"{factor:g} * "
        wants = f"{_named(left)} - {times}{name} {'>' if sign > 0 else '<'} {sign * margin + 0.0:g}"
        found.append(
            _beyond(
                {s: a[s] - factor * values[s] for s in seeds},
                sign * margin,
                sign,
                magnitude=_size(a.values(), (factor * v for v in values.values())),
                wants=wants,
                test="paired t test, one-sided",
                agreeing_from=sign * margin if claim.rule == "agree" else 0.0,
            )
        )
    return _weakest(found)


def near(claim: Claim, sample: Sample) -> Evidence:
    """A within `within` of an arm or a value: two one-sided t tests (TOST); the ends count as inside.

    With `over` and `event` A is the largest value of that grid key at which the event happens, as in
    nakkiran2019 §2: the effective model complexity is the largest number of examples with a training error
    of at most 0.1. It is then compared with a number.
    """
    metric = expression.parse(claim.metric)
    left = sample.conditions(claim.arm)
    if claim.over is not None and not is_number(claim.to):
        raise UserError('a claim with "over" compares with a number', hint='Give "to" a number.')
    a = _measured(claim, sample, left)
    b, name = _side(sample, metric, claim.to, left, a)
    seeds = sample.ready(a, b)
    within = claim.within or 0.0
    paired = "" if is_number(claim.to) else "paired "
    return _between(
        {s: a[s] - b[s] for s in seeds},
        -within,
        within,
        magnitude=_size(a.values(), b.values()),
        wants=f"{_what(claim, left)} - {name} within {within:g}",
        test=f"two one-sided {paired}t tests",
    )


def bound(claim: Claim, sample: Sample) -> Evidence:
    """The metric's mean lies above (or below) a value: one-sided t test. `over` and `event` as in `near`."""
    sign = 1 if claim.above is not None else -1
    value = claim.above if claim.above is not None else claim.below
    if not is_number(value):
        raise UserError(
            'a claim of kind "bound" compares with a number', hint='Use kind = "order" for an arm.'
        )
    assert isinstance(value, int | float)
    conditions = sample.conditions(claim.arm)
    a = _measured(claim, sample, conditions)
    sample.ready(a)
    return _beyond(
        a,
        value,
        sign,
        magnitude=_size(a.values()),
        wants=f"{_what(claim, conditions)} {'>' if sign > 0 else '<'} {value:g}",
        test="t test, one-sided",
        agreeing_from=value,
    )


def _short(metric: str) -> str:
    """Return a metric's name; an expression, which the claim says in words, is its value."""
    return metric if NAME.fullmatch(metric) else "value"


def trend(claim: Claim, sample: Sample) -> Evidence:
    """The metric rises or falls along a grid key, or does so with a given slope.

    `direction`: each seed's least-squares slope over the *positions* of the grid's values (their order
    matters, not their distances), one-sided t test against 0. A single step between neighbours that goes
    significantly the other way (Bonferroni over the steps) refutes it, whatever the slope. A seed agrees
    when every step of it goes the claimed way.

    `slope = [lo, hi]`: each seed's least-squares slope over the values themselves, or of logarithm on
    logarithm; its mean must lie between (two one-sided t tests). A seed agrees when its slope does.
    """
    key = claim.over
    grid = _grid(claim, sample, at_least=2)
    if claim.slope is not None:
        x = _numbers(grid, str(key), logarithms=claim.scale == "log-log")
        low, high = claim.slope
        if low > high:
            raise UserError(f"slope = [{low:g}, {high:g}] is empty", hint="Write the smaller bound first.")
        curves = _curves(claim, sample, grid)
        y = {s: _logarithms(v) if claim.scale == "log-log" else v for s, v in curves.items()}
        return _between(
            {s: slope(x, v) for s, v in y.items()},
            low,
            high,
            magnitude=_size(*y.values()) / (max(x) - min(x)),
            wants=f"{'log-log ' if claim.scale == 'log-log' else ''}slope over {key} in [{low:g}, {high:g}]",
            test="two one-sided t tests of the slopes",
        )
    curves = _curves(claim, sample, grid)
    sign = 1 if claim.direction == "increasing" else -1
    positions = list(range(len(grid)))
    evidence = _beyond(
        {s: slope(positions, v) for s, v in curves.items()},
        0.0,
        sign,
        magnitude=_size(*curves.values()),
        wants=f"mean change a step of {key} {'>' if sign > 0 else '<'} 0",
        test="t test of the slopes, one-sided",
        agreeing_from=0.0,
    )
    steps = list(itertools.pairwise(positions))
    agreeing = sum(all(sign * (v[j] - v[i]) > 0 for i, j in steps) for v in curves.values())
    evidence = replace(evidence, agreeing=agreeing)
    for i, j in steps if len(curves) > 1 else []:
        change = Mean([sign * (v[j] - v[i]) for v in curves.values()], _size(*curves.values()))
        if change.p_below(0.0) < ALPHA / len(steps):
            went = "falls" if sign > 0 else "rises"
            reason = f"it {went} from {key} = {grid[i]} to {grid[j]}"
            return replace(evidence, holds=False, fails=True, reason=reason)
    return evidence


def peak(claim: Claim, sample: Sample) -> Evidence:
    """The metric has an interior maximum over a grid key: some inner point exceeds both ends.

    The candidates are the inner points, or those that `where` names. One-sided paired t tests of the
    highest candidate against both ends must both be significant (intersection-union); their p value is
    multiplied by the number of candidates (Bonferroni), so that choosing the highest costs what it is
    worth. Besides, no other point may be higher on average. The claim fails when some other point is
    significantly above every candidate.
    A seed agrees when its own maximum is at a candidate.

    With `threshold` the maximum must exceed not the ends but the lowest points on both sides of it: the
    double-descent statistic, see `_double_descent`.
    """
    key = claim.over
    grid = _grid(claim, sample, at_least=3)
    if claim.threshold is not None:
        return _double_descent(claim, sample, grid)
    candidates = [i for i in range(1, len(grid) - 1) if _is_at(grid[i], claim.where)]
    if not candidates:
        raise UserError(
            f"no inner point of the grid lies at where = {claim.where}", hint=f"Known: {_listed(grid)}."
        )
    curves = _curves(claim, sample, grid)
    seeds = list(curves)
    others = [i for i in range(len(grid)) if i not in candidates]
    ends = (0, len(grid) - 1)
    place = "an inner point" if claim.where is None else _listed([grid[i] for i in candidates])
    size = _size(*curves.values())

    def above(i: int, j: int) -> Mean:
        return Mean([curves[s][i] - curves[s][j] for s in seeds], size)

    means = [math.fsum(curves[s][i] for s in seeds) / len(seeds) for i in range(len(grid))]
    best = max(candidates, key=means.__getitem__)
    higher = max(ends, key=means.__getitem__)
    highest = max(range(len(grid)), key=means.__getitem__)
    evidence = Evidence(
        wants=f"{place} of {key} - the higher end > 0",
        per_seed={s: curves[s][best] - curves[s][higher] for s in seeds},
        effect=means[best] - means[higher],
        agreeing=sum(max(v[i] for i in candidates) > max(v[i] for i in others) for v in curves.values()),
        reason=f"highest on average at {key} = {grid[highest]}",
    )
    if len(seeds) < 2:
        return evidence
    over_ends = [above(best, end) for end in ends]
    p = min(1.0, len(candidates) * max(mean.p_above(0.0) for mean in over_ends))
    bounds = [mean.bounds(ALPHA / len(candidates)) for mean in over_ends]
    varies = any(mean.varies for mean in over_ends)
    name = f"paired t tests against both ends, Bonferroni over {len(candidates)}"
    return replace(
        evidence,
        test=name if varies else NO_VARIANCE,
        low=min(low for low, _ in bounds),
        high=min(high for _, high in bounds),
        p=p if varies else None,
        holds=p < ALPHA and highest in candidates,
        fails=any(max(above(j, i).p_above(0.0) for i in candidates) < ALPHA / len(others) for j in others),
    )


def _double_descent(claim: Claim, sample: Sample, grid: list[Any]) -> Evidence:
    """The metric falls, rises to a peak and falls again around a threshold (nakkiran2019 §2).

    One-sided t test of each seed's prominence: its peak, less the higher of the minimum below the threshold
    and the minimum beyond the peak. `threshold` is a value of the grid, or a table with a metric and the
    value at or below which models fit: the threshold is then the first value of the grid from which on the
    metric's mean over seeds stays there. With `where` the peak must lie there on average; a seed agrees when
    its own peak does.
    """
    key = str(claim.over)
    at = _threshold(claim, sample, grid)
    curves = _curves(claim, sample, grid)
    found = {s: double_descent(v, at) for s, v in curves.items()}
    if undefined := [str(s) for s, statistic in found.items() if statistic is None]:
        raise Undecided(
            f"nothing lies below {key} = {grid[at]}, or nothing beyond the peak, "
            f"in seed {', '.join(undefined)}"
        )
    known = {s: statistic for s, statistic in found.items() if statistic is not None}
    mean = double_descent(
        [math.fsum(v[i] for v in curves.values()) / len(curves) for i in range(len(grid))], at
    )
    evidence = _beyond(
        {s: statistic.prominence for s, statistic in known.items()},
        0.0,
        1,
        magnitude=_size(*curves.values()),
        wants=f"peak - the higher minimum beside it over {key} > 0",
        test="t test of the prominence, one-sided",
        agreeing_from=0.0,
    )
    place = None if mean is None else grid[mean.place]
    reason = f"fits from {key} = {grid[at]} on; peak on average at {place}"
    if claim.where is None:
        return replace(evidence, reason=reason)
    agreeing = sum(_is_at(grid[s.place], claim.where) and s.prominence > 0 for s in known.values())
    there = place is not None and _is_at(place, claim.where)
    return replace(evidence, agreeing=agreeing, holds=evidence.holds and there, reason=reason)


def _threshold(claim: Claim, sample: Sample, grid: list[Any]) -> int:
    """Return the position of a claim's interpolation threshold in the grid."""
    if is_number(claim.threshold):
        if claim.threshold not in grid:
            raise UserError(
                f"threshold = {claim.threshold} is not a value of the grid", hint=f"Known: {_listed(grid)}."
            )
        return grid.index(claim.threshold)
    table = claim.threshold
    if not isinstance(table, dict) or table.keys() != {"metric", "below"} or not is_number(table["below"]):
        raise UserError(
            "a threshold is a value of the grid, or a table with metric and below",
            hint='Write threshold = { metric = "train/error", below = 0.01 }.',
        )
    curves = _curves(claim.model_copy(update={"metric": table["metric"]}), sample, grid)
    means = [math.fsum(v[i] for v in curves.values()) / len(curves) for i in range(len(grid))]
    position = interpolation_threshold(means, table["below"])
    if position is None:
        raise Undecided(f"{table['metric']} does not stay at or below {table['below']:g}")
    return position


def count(claim: Claim, sample: Sample) -> Evidence:
    """An event happens in a larger share of an arm's runs than of the others', which are pooled.

    Fisher's exact test, one-sided; it fails when the same test finds the event significantly rarer. The
    bounds shown are Newcombe's for a difference of shares. A seed agrees when the event's share in it is
    larger in the arm than in the others.
    """
    metric = expression.parse(claim.metric)
    happens = parse_comparison(str(claim.event))
    left = sample.conditions(claim.arm)
    labels = [claim.against] if isinstance(claim.against, str) else claim.against or []
    if not labels:
        raise UserError("there is nothing to compare with")
    a = sample.runs(metric, left)
    others = [sample.runs(metric, sample.conditions(label)) for label in labels]
    seeds = sample.ready(a, *others)
    events = {s: [happens(v) for v in a[s]] for s in seeds}
    other = {s: [happens(v) for values in others for v in values[s]] for s in seeds}
    table = [sum(map(len, events.values())), sum(map(len, other.values()))]
    hits = [sum(map(sum, events.values())), sum(map(sum, other.values()))]
    numbers = (hits[0], table[0], hits[1], table[1])
    per_seed = {s: sum(events[s]) / len(events[s]) - sum(other[s]) / len(other[s]) for s in seeds}
    low, high = share_difference_bounds(*numbers)
    p = more_often(*numbers)
    return Evidence(
        f"share of {claim.metric} {claim.event} in {_named(left)} - in {_listed(labels)} > 0",
        per_seed,
        hits[0] / table[0] - hits[1] / table[1],
        sum(v > 0 for v in per_seed.values()),
        test="Fisher's exact test, one-sided",
        low=low,
        high=high,
        p=p,
        holds=p < ALPHA,
        fails=more_often(*numbers[2:], *numbers[:2]) < ALPHA,
        reason=f"{hits[0]} of {table[0]} runs against {hits[1]} of {table[1]}",
    )


KINDS: dict[str, Callable[[Claim, Sample], Evidence]] = {
    "order": order,
    "near": near,
    "trend": trend,
    "peak": peak,
    "bound": bound,
    "count": count,
}


def _beyond(
    per_seed: dict[int, float],
    threshold: float,
    sign: int,
    *,
    magnitude: float,
    wants: str,
    test: str,
    agreeing_from: float,
) -> Evidence:
    """Evidence that the mean lies above (sign 1) or below (sign -1) a threshold."""
    values = list(per_seed.values())
    mean = Mean(values, magnitude)
    agreeing = sum(Mean([sign * v], magnitude).p_above(sign * agreeing_from) == 0.0 for v in values)
    if len(values) < 2:
        return Evidence(wants, per_seed, mean.mean, agreeing)
    p, against = mean.p_above(threshold), mean.p_below(threshold)
    if sign < 0:
        p, against = against, p
    low, high = mean.bounds()
    # Without variance, a mean that is exactly at the threshold does not exceed it.
    fails = against < ALPHA if mean.varies else p >= ALPHA
    return Evidence(
        wants,
        per_seed,
        mean.mean,
        agreeing,
        _name_of(mean, test),
        low,
        high,
        p if mean.varies else None,
        p < ALPHA,
        fails,
    )


def _between(
    per_seed: dict[int, float], low: float, high: float, *, magnitude: float, wants: str, test: str
) -> Evidence:
    """Evidence that the mean lies between two values, which count as inside."""
    values = list(per_seed.values())
    mean = Mean(values, magnitude)
    agreeing = sum(Mean([v], magnitude).p_within(low, high) == 0.0 for v in values)
    if len(values) < 2:
        return Evidence(wants, per_seed, mean.mean, agreeing)
    p = mean.p_within(low, high)
    below, above = mean.bounds()
    fails = min(mean.p_below(low), mean.p_above(high)) < ALPHA
    return Evidence(
        wants,
        per_seed,
        mean.mean,
        agreeing,
        _name_of(mean, test),
        below,
        above,
        p if mean.varies else None,
        p < ALPHA,
        fails,
    )


def _weakest(found: list[Evidence]) -> Evidence:
    """Combine comparisons that must all hold: one that fails, else the one with the largest p value."""
    worst = max(found, key=lambda e: (e.fails, not e.holds, e.p or 0.0))
    if len(found) == 1:
        return worst
    return replace(
        worst, agreeing=min(e.agreeing for e in found), reason=f"the weakest of {len(found)} comparisons"
    )


def _side(
    sample: Sample, metric: expression.Expression, side: Any, left: Conditions, a: Mapping[int, float]
) -> tuple[dict[int, float], str]:
    """Values of what A is compared with. A table that names no arm means A's."""
    if is_number(side):
        return dict.fromkeys(a, float(side)), f"{side:g}"
    conditions = sample.conditions(side)
    if "arm" not in conditions and "arm" in left:
        conditions = {"arm": left["arm"], **conditions}
    return sample.means(metric, conditions), _named(conditions)


def _grid(claim: Claim, sample: Sample, *, at_least: int) -> list[Any]:
    """Return the values of the grid key that a claim is about."""
    values = sample.grid(str(claim.over))
    if len(values) < at_least:
        raise UserError(f'a {claim.kind} needs at least {at_least} values of "{claim.over}" in the grid')
    return values


def _curves(claim: Claim, sample: Sample, grid: list[Any]) -> dict[int, list[float]]:
    """Return each seed's metric along the grid, complete."""
    metric = expression.parse(claim.metric)
    conditions = sample.conditions(claim.arm)
    points = [sample.means(metric, {**conditions, str(claim.over): value}) for value in grid]
    return {seed: [point[seed] for point in points] for seed in sample.ready(*points)}


def _what(claim: Claim, conditions: Conditions) -> str:
    """Return what is measured in a few words."""
    if claim.over is not None:
        return f"largest {claim.over.rsplit('.', 1)[-1]} with {_short(claim.metric)} {claim.event}"
    return _named(conditions) or _short(claim.metric)


def _measured(claim: Claim, sample: Sample, conditions: Conditions) -> dict[int, float]:
    """Return in each seed the metric, or the largest value of the grid key at which its event happens."""
    if (claim.over is None) != (claim.event is None):
        raise UserError('"over" and "event" go together', hint='Write e.g. event = "<= 0.1".')
    if claim.event is None:
        return sample.means(expression.parse(claim.metric), conditions)
    happens = parse_comparison(claim.event)
    grid = _grid(claim, sample, at_least=2)
    numbers = _numbers(grid, str(claim.over), logarithms=False)
    largest = {
        seed: max((n for n, value in zip(numbers, curve, strict=True) if happens(value)), default=math.nan)
        for seed, curve in _curves(claim, sample, grid).items()
    }
    if never := [str(seed) for seed, n in largest.items() if math.isnan(n)]:
        raise Undecided(f"{claim.metric} {claim.event} happens nowhere in seed {', '.join(never)}")
    return largest


def _numbers(grid: list[Any], key: str, *, logarithms: bool) -> list[float]:
    if not all(map(is_number, grid)) or (logarithms and min(grid) <= 0):
        raise UserError(f'a slope over "{key}" needs {"positive " if logarithms else ""}numbers in the grid')
    return _logarithms(grid) if logarithms else [float(v) for v in grid]


def _logarithms(values: Sequence[float]) -> list[float]:
    if min(values) <= 0:
        raise Undecided("the metric is not positive everywhere, so that it has no logarithm")
    return [math.log(v) for v in values]


def _is_at(value: Any, where: Any) -> bool:
    if where is None:
        return True
    if isinstance(where, list) and len(where) == 2 and all(map(is_number, [*where, value])):
        return where[0] <= value <= where[1]
    return value == where


def _size(*values: Any) -> float:
    return max((abs(v) for group in values for v in group), default=0.0)


def _name_of(mean: Mean, test: str) -> str:
    return test if mean.varies else NO_VARIANCE


def _named(conditions: Conditions) -> str:
    others = ", ".join(f"{k.rsplit('.', 1)[-1]} = {v}" for k, v in conditions.items() if k != "arm")
    arm = conditions.get("arm", "")
    return f"{arm} ({others})" if arm and others else arm or others


def _listed(values: Sequence[Any]) -> str:
    return ", ".join(map(str, values))
