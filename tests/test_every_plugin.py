"""Every plug-in and every pair of methods: trains three steps, restarts, rejects a wrong option."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from imbtui import folders, metrics, plugins, store
from imbtui.errors import UserError
from imbtui.paths import RunPaths, RunsPaths
from imbtui.recipe import load_study
from imbtui.recipe.measured import check_metric

MakeRuns = Callable[..., list[RunPaths]]
Train = Callable[..., dict[str, Any]]

# A run that pruned the network below, of which its masks, rewound weights and last checkpoint are left.
TICKETS = Path(__file__).parent / "fixtures" / "tickets"
# Four images of random pixels at five severities.
CORRUPTED = Path(__file__).parent / "fixtures" / "corrupted"
# Values for options without a default; a plug-in whose options all have defaults needs no entry.
REQUIRED: dict[str, str] = {
    "corruptions.long_tail": "{ratio = 10}",
    "corruptions.label_noise": '{kind = "symmetric", rate = 0.2}',
    "corruptions.subset": "{n = 100}",
    "methods.lottery": "{rounds = 1}",
    "methods.ticket": f"{{run = '{TICKETS}', exclude = ['head']}}",
    "methods.pretrained": f"{{run = '{TICKETS}'}}",
    "methods.group_dro": '{by = "class"}',
    "methods.dynamic_weights": "{start_epoch = 0}",
    "methods.one_step": '{ratio = "network"}',
    "probes.minimal_attack": "{steps = 3}",
    "probes.common_corruptions": f"{{folder = '{CORRUPTED}', corruptions = ['gaussian_noise']}}",
}
# What a plug-in asks of the rest of the recipe.
GAUSSIAN = ["dataset.name=gaussian_mixture"]
GROUPS = [*GAUSSIAN, "dataset.form=groups"]
REGRESSION = ["dataset.name=linear_sem", "dataset.validation=2", "loss.name=squared"]
TOKENS = ["dataset.name=modular", "dataset.p=7"]
SURROUNDINGS: dict[str, list[str]] = {
    "rademacher": ["dataset.protocol=classes"],
    "binary_vs": GAUSSIAN,
    "group_vs": GROUPS,
    "group_vs_official": GROUPS,
    "group_metrics": GROUPS,
    "early_stop": ["dataset.n_val=300"],
    "noisy_error": ["corruptions.label_noise.rate=0.2"],
    "linear_probe": ["dataset.protocol=transfer"],
    "nearest_neighbours": ["dataset.protocol=transfer"],
    "ood": ["dataset.name=two_moons"],
    "distance_awareness": ["dataset.name=two_moons"],
    "plurality": ["methods.ensemble=true"],
    "gradient_alignment": ["methods.diversity=true"],
    "model_selection": ["dataset.name=collages", "methods.diversity=true"],
    "separator": [*GAUSSIAN, "model.name=linear"],
    "gaussian_errors": [*GAUSSIAN, "model.name=linear"],
    "balanced_svm": GAUSSIAN,
    "mechanism_transfer": REGRESSION,
    "importance_cross_validation": ["methods.static_weights=true"],
    "preact_resnet": ["model.width=8"],
    "wide_resnet": ["model.widen=1"],
    "vision_transformer": ["model.layers=2", "model.width=16", "model.heads=4"],
    "token_mlp": TOKENS,
    "transformer": TOKENS,
}
# Pairs of which one method puts something else in the place of the network that the other one needs.
REFUSED = {
    ("random_features", "ticket"): "Use the model of",
    ("random_features", "pretrained"): "changed the network's layers",
    ("random_features", "ensemble"): "List ensemble first",
    ("random_features", "diversity"): "List diversity first",
    ("ensemble", "diversity"): "List diversity first",
    ("diversity", "ensemble"): "List ensemble first",
    ("random_features", "sngp"): "no hidden layer",
    ("random_features", "mc_dropout"): "no dropout",
    ("sngp", "ensemble"): "List ensemble first",
    ("sngp", "example_difficulty"): "changed the network's layers",
    ("example_difficulty", "sngp"): "changed the network's layers",
    ("sngp", "pretrained"): "changed the network's layers",
    ("sngp", "unrolled_sgd"): "keeps no state between steps",
    ("unrolled_sgd", "sngp"): "keeps no state between steps",
    ("mc_dropout", "ensemble"): "List ensemble first",
    ("sngp", "diversity"): "List diversity first",
    ("mc_dropout", "diversity"): "List diversity first",
} | {
    pair: "no method that changes the head"
    for solver in ("least_squares", "importance_cross_validation")
    for other in ("diversity", "sngp", "mc_dropout", "ensemble")
    for pair in ((solver, other), (other, solver))
}
TOML = """
title = "three steps"
[dataset]
name = "digits"
[model]
name = "mlp"
hidden = [16]
dropout = 0.1
[optimizer]
lr = 0.01
[train]
steps = 3
batch_size = 32
threads = 1
"""
# What a plug-in records only in other surroundings: with groups, weights, variances, another option.
ELSEWHERE: dict[str, set[str]] = {
    "estimate_transition": {"estimate_transition/error"},
    "least_squares": {"least_squares/effective_sample_size"},
    "unrolled_sgd": {"unrolled_sgd/diagonal"},
    "gaussian_errors": {f"gaussian_errors/{n}" for n in ("worst", "balanced_groups", "symmetric_deo")},
    "distance_awareness": {"distance_awareness/variance"},
    "ood": {"ood/variance", "ood/familiar_variance"},
    "shift_consistency": {"shift_consistency/kept"},
}
LISTS = {"corruption": "corruptions", "method": "methods", "probe": "probes"}


def added(kind: str, name: str) -> str:
    key = f"{LISTS[kind]}.{name}"
    return f"{key}={REQUIRED.get(key, 'true')}"


def trains_and_restarts(make_runs: MakeRuns, train: Train, *assignments: str) -> set[str]:
    """Return the names of the metrics that the run recorded."""
    (run,) = make_runs(*assignments, toml=TOML)
    first = train(run)
    assert first["state"] == "finished", first["reason"]
    assert first["steps"] == 3
    rows = run.metrics.read_text()
    folders.update_submit(run, attempt=2)
    again = train(run)
    assert again["state"] == "finished", again["reason"]
    assert again["metrics"] == first["metrics"]
    assert [timeless(r) for r in run.metrics.read_text().splitlines()] == [
        timeless(r) for r in rows.splitlines()
    ]
    recorded = set(metrics.names(map(json.loads, rows.splitlines())))
    (record,) = store.studies(RunsPaths(run.root.parent))
    for name in recorded:
        check_metric(name, record["metrics"], where=" ".join(assignments))
    return recorded


def timeless(line: str) -> dict[str, Any]:
    return {k: v for k, v in json.loads(line).items() if k != "time"}


@pytest.mark.parametrize("name", plugins.names("loss"))
def test_every_loss(make_runs: MakeRuns, train: Train, name: str) -> None:
    trains_and_restarts(make_runs, train, f"loss.name={name}", *SURROUNDINGS.get(name, []))


@pytest.mark.parametrize("head", ["linear", "cosine"])
@pytest.mark.parametrize("name", plugins.names("model"))
def test_every_model_with_every_head(make_runs: MakeRuns, train: Train, name: str, head: str) -> None:
    trains_and_restarts(
        make_runs, train, f"model.name={name}", f"model.head={head}", *SURROUNDINGS.get(name, [])
    )


@pytest.mark.parametrize(
    "kind_and_name", [(k, n) for k in LISTS for n in plugins.names(k)], ids=lambda v: v[1]
)
def test_every_corruption_method_and_probe(
    make_runs: MakeRuns, train: Train, kind_and_name: tuple[str, str]
) -> None:
    kind, name = kind_and_name
    recorded = trains_and_restarts(make_runs, train, added(kind, name), *SURROUNDINGS.get(name, []))
    prefix = f"{name}/" if kind == "probe" else ""
    declared = {f"{prefix}{metric}" for metric in plugins.literal(kind, name, "METRICS", ())}
    certain = {metric for metric in declared if not set("*{") & set(metric)}
    assert certain - recorded == ELSEWHERE.get(name, set()), "a name that is declared and never recorded"


@pytest.mark.parametrize(
    "pair", itertools.permutations(plugins.names("method"), 2), ids=lambda p: "-".join(p)
)
def test_every_pair_of_methods(make_runs: MakeRuns, train: Train, pair: tuple[str, str]) -> None:
    assignments = [added("method", name) for name in pair]
    if all(plugins.defines("method", name, "plan") for name in pair):
        with pytest.raises(UserError, match=f'"{pair[0]}" and "{pair[1]}" both plan'):
            make_runs(*assignments, toml=TOML)
        return
    without_steps = [n for n in pair if not plugins.literal("method", n, "TAKES_STEPS", True)]
    if without_steps and any(plugins.literal("method", name, "NEEDS_STEPS", False) for name in pair):
        with pytest.raises(UserError, match=f'"{without_steps[0]}" takes none that it could act in'):
            make_runs(*assignments, toml=TOML)
        return
    if pair in REFUSED:
        (run,) = make_runs(*assignments, toml=TOML)
        assert REFUSED[pair] in train(run)["reason"]
        return
    tasks = [plugins.literal("method", name, "TASKS", ("classification",)) for name in pair]
    if ("regression",) in tasks:
        assignments += REGRESSION
        if ("classification",) in tasks:
            with pytest.raises(UserError, match="is for classification"):
                make_runs(*assignments, toml=TOML)
            return
    needed = [a for name in pair for a in SURROUNDINGS.get(name, []) if a.startswith("methods.")]
    trains_and_restarts(make_runs, train, *assignments, *needed)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10"])
def test_every_data_set_at_hand(make_runs: MakeRuns, train: Train, data_root: Path, name: str) -> None:
    small = "dataset.form=small" if name == "cifar10" else "dataset.validation=0"
    trains_and_restarts(make_runs, train, f"dataset.name={name}", small, "corruptions.subset.n=200")


@pytest.mark.parametrize(
    "kind_and_name", [(k, n) for k in plugins.FOLDERS for n in plugins.names(k)], ids=lambda v: "-".join(v)
)
def test_every_plug_in_rejects_a_wrong_option(kind_and_name: tuple[str, str], tmp_path: Path) -> None:
    kind, name = kind_and_name
    path = tmp_path / "r.toml"
    path.write_text(TOML)
    if kind in LISTS:
        assignments = [added(kind, name), f"{LISTS[kind]}.{name}.no_such_option=1"]
    else:
        assignments = [f"{kind}.name={name}", f"{kind}.no_such_option=1"]
    with pytest.raises(UserError, match='no option "no_such_option"'):
        load_study(path, assignments)


@pytest.mark.parametrize(
    "kind_and_name", [(k, n) for k in plugins.FOLDERS for n in plugins.names(k)], ids=lambda v: "-".join(v)
)
def test_options_read_from_the_source_are_those_of_the_code(kind_and_name: tuple[str, str]) -> None:
    import inspect

    kind, name = kind_and_name
    signature = inspect.signature(plugins.load(kind, name))
    keywords = {p.name: p.default for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY}
    read = plugins.options(kind, name)
    assert list(read) == list(keywords)
    for option in read.values():
        missing = keywords[option.name] is inspect.Parameter.empty
        assert missing == (option.default is plugins.REQUIRED)
        if not missing:
            assert keywords[option.name] == option.default
    assert plugins.summary(kind, name), "the form shows a plug-in's first line"
