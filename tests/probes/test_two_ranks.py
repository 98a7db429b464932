"""Probes on two processes, each of which sees its share of the examples: the values are those of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from imbtui.metrics import names, read_rows
from imbtui.paths import RunPaths

# More examples than one evaluation batch holds, so that both processes have some; in float64, so that what
# remains is the order of sums.
RECIPE = """
[dataset]
name = "gaussian_mixture"
form = "groups"
counts = [700, 500, 500, 300]
dimension = 6
test_per_component = 400
[model]
name = "mlp"
hidden = [8]
[optimizer]
lr = 0.1
[train]
steps = 2
precision = "fp64"
threads = 1
"""
SHARED = """
[[corruptions]]
name = "label_noise"
kind = "symmetric"
rate = 0.2
[[probes]]
name = "critical_sample_ratio"
radii = [0.5]
noise = 0
[[probes]]
name = "feature_change"
examples = 1500
"""
PLAIN = (
    "feature_deviation",
    "group_metrics",
    "input_gradient",
    "margins",
    "noisy_error",
    "per_class",
    "prediction_rate",
    "rademacher",
    "update_sharpness",
)
LINEAR = RECIPE.replace('"mlp"\nhidden = [8]', '"linear"').replace(
    "dimension = 6", "dimension = 6\nshifts = [30, 3]  # so far apart that a line separates them"
)
SEPARATOR = """
[[probes]]
name = "separator"
"""
MEMBERS = """
[[methods]]
name = "ensemble"
[[probes]]
name = "plurality"
"""
CLOSED_FORM = """
[[methods]]
name = "random_features"
features = 20
"""


def probes(text: str) -> str:
    return text + "".join(f'[[probes]]\nname = "{name}"\n' for name in PLAIN if text == SHARED)


def at_the_end(text: str) -> str:
    return text.replace("[[probes]]", '[[probes]]\nevery = "100%"')


def test_each_process_counts(
    make_runs: Callable[..., list[RunPaths]],
    train: Callable[[RunPaths], dict[str, Any]],
    train_on_two_ranks: Callable[..., None],
) -> None:
    recipes = {
        "shared": RECIPE + at_the_end(probes(SHARED)),
        "linear": LINEAR + at_the_end(SEPARATOR),
        "members": RECIPE + at_the_end(MEMBERS),
        "closed": RECIPE + CLOSED_FORM,
    }
    alone = {name: make_runs(toml=text, name=name)[0] for name, text in recipes.items()}
    together = {name: make_runs(toml=text, name=name)[0] for name, text in recipes.items()}
    train_on_two_ranks(*together.values())
    for name, run in alone.items():
        assert train(run)["state"] == "finished"
        one, two = (values(paths) for paths in (run, together[name]))
        assert one.keys() == two.keys()
        for key, value in one.items():
            assert two[key] == pytest.approx(value, rel=1e-9, abs=1e-9, nan_ok=True), (name, key)
    recorded = {key.partition("/")[0] for run in alone.values() for key in values(run)}
    assert {*PLAIN, "critical_sample_ratio", "feature_change", "separator", "plurality"} <= recorded


def values(run: RunPaths) -> dict[str, Any]:
    """Return the last value of each metric but the running ones, which are those of rank 0's share."""
    rows, _ = read_rows(run.metrics)
    return {
        name: next(row[name] for row in reversed(rows) if name in row)
        for name in names(rows)
        if not name.startswith("running/")
    }
