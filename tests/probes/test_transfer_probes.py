"""Probes of kornblith2021: separation, linear probes on other data, CKA within and between runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from imbtui.datasets.digits import Digits
from imbtui.engine.examples import Examples
from imbtui.engine.neighbours import load_network
from imbtui.numerics.cka import linear_cka
from imbtui.numerics.class_separation import class_separation, direction_sums
from imbtui.paths import RunPaths
from imbtui.probes.linear_probe import scaled
from imbtui.probes.nearest_neighbours import vote

MakeRuns = Callable[..., list[RunPaths]]
Train = Callable[..., dict[str, Any]]
TOML = """
[dataset]
name = "digits"
protocol = "transfer"
pixels = "symmetric"
[model]
name = "mlp"
hidden = [16, 8]
[optimizer]
lr = 0.05
[train]
steps = 30
batch_size = 64
evaluate_every = "100%"
threads = 1
"""


def trained(make_runs: MakeRuns, train: Train, *assignments: str, name: str = "r") -> tuple[RunPaths, dict]:
    (run,) = make_runs(*assignments, toml=TOML, name=name)
    result = train(run)
    assert result["state"] == "finished", result["reason"]
    return run, result["metrics"]


def features_of(run: RunPaths, x: np.ndarray) -> torch.Tensor:
    model = load_network(run, (1, 8, 8), torch.device("cpu"), where="test")
    with torch.no_grad():
        return model.features(torch.from_numpy(np.moveaxis(x, -1, 1)))  # type: ignore[operator]


def test_separation_of_the_features_in_front_of_the_head(make_runs: MakeRuns, train: Train) -> None:
    run, metrics = trained(
        make_runs, train, "probes.class_separation.ends=2", "model.head_dropout=0.5", "probes.norms=true"
    )
    splits = Digits(protocol="transfer", pixels="symmetric").load(run.root, split_seed=0)
    y = torch.from_numpy(splits.train.targets)
    sums, counts = direction_sums(features_of(run, splits.train.x), y, 5)
    assert metrics["class_separation/r2"] == pytest.approx(class_separation(sums, counts), abs=1e-6)
    tail = y.bincount().argsort(descending=True, stable=True)[-2:]
    expected = class_separation(sums[tail], counts[tail])
    assert metrics["class_separation/tail"] == pytest.approx(expected, abs=1e-6)


def score(run: RunPaths, few: Examples, rest: Examples, c: float, features: str = "l2") -> float:
    """Accuracy on `rest` of scikit-learn's classifier of the run's features of `few`."""
    x, unseen = scaled(features_of(run, few.x).double(), features_of(run, rest.x).double(), features)
    classifier = LogisticRegression(C=c, max_iter=10_000).fit(x, few.targets)
    return classifier.score(unseen, rest.targets)


@pytest.mark.parametrize("features", ["l2", "standardised", "raw"])
def test_linear_probe_is_scikit_learns(make_runs: MakeRuns, train: Train, features: str) -> None:
    """kornblith2021 §9: the best test score over a few strengths."""
    run, metrics = trained(
        make_runs,
        train,
        "probes.linear_probe.inverse_strengths=[0.1, 10.0]",
        "probes.linear_probe.choose=test",
        f"probes.linear_probe.features={features}",
    )
    extra = Digits(protocol="transfer", pixels="symmetric").load(run.root, split_seed=0).extra
    scores = [score(run, extra["transfer_train"], extra["transfer_test"], c, features) for c in (0.1, 10.0)]
    assert metrics["linear_probe/accuracy"] == pytest.approx(max(scores), abs=2e-3)
    assert metrics["linear_probe/balanced_accuracy"] == pytest.approx(max(scores), abs=0.05)


def test_strength_chosen_on_labelled_examples_alone(make_runs: MakeRuns, train: Train) -> None:
    run, metrics = trained(make_runs, train, "probes.linear_probe.inverse_strengths=[1e-6, 100.0]")
    assert metrics["linear_probe/inverse_strength"] == 100
    extra = Digits(protocol="transfer", pixels="symmetric").load(run.root, split_seed=0).extra
    expected = score(run, extra["transfer_train"], extra["transfer_test"], 100.0)
    assert metrics["linear_probe/accuracy"] == pytest.approx(expected, abs=2e-3)


def test_other_data_sets_by_name(make_runs: MakeRuns, train: Train) -> None:
    options = "{protocol = 'split', pixels = 'symmetric', n_train = 200}"
    run, metrics = trained(
        make_runs,
        train,
        "probes.linear_probe.dataset=digits",
        f"probes.linear_probe.dataset_options={options}",
        "probes.linear_probe.train=train",
        "probes.linear_probe.test=test",
        "probes.linear_probe.inverse_strengths=[10.0]",
    )
    other = Digits(pixels="symmetric", n_train=200).load(run.root, split_seed=0)
    expected = score(run, other.train, other.test, 10.0)
    assert metrics["linear_probe/accuracy"] == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("neighbours", [1, 4])
def test_nearest_neighbours(make_runs: MakeRuns, train: Train, neighbours: int) -> None:
    """kornblith2021 §4: one neighbour is scikit-learn's; distinct features have no ties."""
    wide = ["model.hidden=[64]", "train.steps=5"]
    run, metrics = trained(make_runs, train, f"probes.nearest_neighbours.neighbours={neighbours}", *wide)
    extra = Digits(protocol="transfer", pixels="symmetric").load(run.root, split_seed=0).extra
    few, rest = extra["transfer_train"], extra["transfer_test"]
    x, unseen = features_of(run, few.x).double(), features_of(run, rest.x).double()
    if neighbours == 1:
        classifier = KNeighborsClassifier(1, metric="cosine").fit(x, few.targets)
        expected = classifier.score(unseen, rest.targets)
    else:
        expected = float((vote(x, few.targets, unseen, neighbours) == rest.targets).mean())
    assert metrics["nearest_neighbours/accuracy"] == pytest.approx(expected, abs=3e-3)


def test_ties_of_a_vote_go_to_the_nearer() -> None:
    labelled = torch.tensor([[1.0, 0.0], [0.9, 0.5], [0.0, 1.0], [-0.2, 1.0]])
    labels = np.array([0, 0, 1, 1])
    unseen = torch.tensor([[2.0, 0.1], [0.1, 7.0], [0.0, 0.0]])
    assert vote(labelled, labels, unseen, 4).tolist()[:2] == [0, 1]
    assert vote(labelled, labels, unseen, 1).tolist()[:2] == [0, 1]
    assert vote(labelled, np.array([0, 1, 1, 1]), unseen[:1], 4).tolist() == [1]


@pytest.mark.parametrize(
    ("assignments", "reason"),
    [
        (["dataset.protocol=split"], 'no examples "transfer_train"'),
        (["probes.linear_probe.dataset=no_such"], 'there is no dataset "no_such"'),
        (
            ["probes.linear_probe.dataset=digits", "probes.linear_probe.dataset_options={colour = true}"],
            "colour",
        ),
        (["probes.linear_probe.dataset=toy_sinc"], "no examples"),
        (["probes.linear_probe.validation=0.001"], "cannot be set aside"),
        (["probes.nearest_neighbours.neighbours=51"], "51 neighbours are asked of 50"),
        (["probes.cka.against=nobody"], 'there is no run "nobody"'),
        (["probes.cka.layers=['body.33']"], 'no layer "body.33"'),
        (["probes.cka.most=3"], "at least 4 examples"),
    ],
)
def test_what_is_wrong_is_said(
    make_runs: MakeRuns, train: Train, assignments: list[str], reason: str
) -> None:
    (run,) = make_runs("probes.linear_probe=true", *assignments, toml=TOML)
    result = train(run)
    assert result["state"] == "failed"
    assert reason in result["reason"]


def test_cka_between_runs_by_checkpoint_and_by_stored_activations(make_runs: MakeRuns, train: Train) -> None:
    first, own = trained(make_runs, train, "probes.cka.store=true")
    document = json.loads((first.artifacts / "cka.json").read_text())
    ((title, matrix),) = document["matrices"].items()
    assert title == "biased linear CKA"
    assert document["row_names"] == ["body.3", "head"]
    np.testing.assert_allclose(np.diag(matrix), 1)
    assert own["cka/adjacent"] == [pytest.approx(matrix[0][1])]
    kept = load_file(first.artifacts / "activations.safetensors")

    options = ["optimizer.lr=0.5", f"probes.cka.against={first.id}", "probes.cka.store=true"]
    by_artefact, metrics = trained(make_runs, train, *options, name="artefact")
    other = load_file(by_artefact.artifacts / "activations.safetensors")
    for layer in ("body.3", "head"):
        expected = linear_cka(other[layer], kept[layer])
        assert metrics[f"cka/{layer}"] == pytest.approx(expected, abs=1e-6)
        assert 0.05 < expected < 0.999
    (first.artifacts / "activations.safetensors").unlink()
    _, again = trained(make_runs, train, *options[:2], name="checkpoint")
    for layer in ("body.3", "head"):
        assert again[f"cka/{layer}"] == pytest.approx(metrics[f"cka/{layer}"], abs=1e-6)


def test_activations_of_other_examples_are_refused(make_runs: MakeRuns, train: Train) -> None:
    first, _ = trained(make_runs, train, "probes.cka.store=true", "probes.cka.most=50")
    (run,) = make_runs(f"probes.cka.against={first.id}", "probes.cka.most=51", toml=TOML)
    assert "are of other examples" in train(run)["reason"]


@pytest.mark.parametrize("estimator", ["debiased", "minibatch"])
@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_estimators_against_a_twin_that_is_the_same(
    make_runs: MakeRuns, train: Train, estimator: str, kernel: str
) -> None:
    _, metrics = trained(
        make_runs,
        train,
        "methods.twin=true",
        "probes.cka.against=twin",
        "probes.cka.most=101",
        "probes.cka.batch_size=49",
        f"probes.cka.estimator={estimator}",
        f"probes.cka.kernel={kernel}",
    )
    assert [metrics[f"cka/{layer}"] for layer in ("body.3", "head")] == pytest.approx([1, 1])
