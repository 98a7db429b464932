"""SNGP in training: its covariance through evaluation, restart and ranks; combinations; what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from imbtui import folders
from imbtui.engine.build import assemble, make_accelerator
from imbtui.engine.run import Assembly
from imbtui.methods._gaussian_process import GaussianProcessHead
from imbtui.methods._mc_dropout import SampledNetwork
from imbtui.methods._spectral_norm import SoftSpectralNorm
from imbtui.numerics.gaussian_process import class_precisions, feature_precision
from imbtui.paths import RunPaths
from imbtui.recipe.read import read_resolved

MakeRuns = Callable[..., list[RunPaths]]
Train = Callable[..., dict[str, Any]]

TOML = """
title = "small moons"
[dataset]
name = "two_moons"
n_train = 150
n_test = 100
n_ood = 50
grid = 10
[model]
name = "residual_mlp"
width = 16
depth = 2
[[methods]]
name = "sngp"
features = 32
[optimizer]
name = "adam"
lr = 1e-2
[train]
epochs = 3
batch_size = 64
checkpoint_every = 1
threads = 1
[[probes]]
name = "ood"
[[probes]]
name = "distance_awareness"
"""
TAIL = [
    "dataset.name=digits",
    "dataset.protocol=long_tail",
    "corruptions.long_tail.ratio=50",
    "model.name=small_cnn",
    "model.width=4",
    "train.epochs=2",
    "probes.ood=false",
    "probes.distance_awareness=false",
]


def end_of(run: RunPaths, stage: str = "train") -> dict[str, Tensor]:
    return torch.load(run.checkpoints / f"stage-{stage}.pt", weights_only=True)["objective"]


def loaded(run: RunPaths, stage: str = "train") -> Assembly:
    """Build a run's network anew in this process, with the end state of a stage."""
    recipe = read_resolved(run.recipe)
    assembly = assemble(recipe, run, make_accelerator(recipe))
    assembly.objective.load_state_dict(end_of(run, stage))
    return assembly


def heads_of(assembly: Assembly) -> list[GaussianProcessHead]:
    return [m for m in assembly.objective.modules() if isinstance(m, GaussianProcessHead)]


@torch.no_grad()
def precision_by_hand(assembly: Assembly, head: GaussianProcessHead) -> Tensor:
    """Sum over the training set at the weights as they are, without dropout."""
    network = assembly.objective.eval().model
    batch = assembly.context.whole("train")
    phi = head.features(network.features(batch.x))  # type: ignore[operator]
    if head.covariance == "per_class":
        return class_precisions(phi, head.beta(phi).softmax(1))
    return feature_precision(phi)


def test_the_covariance_is_that_of_the_weights_beside_it(make_runs: MakeRuns, train: Train) -> None:
    for settings in (
        ["methods.sngp.augmented=true"],
        ["methods.sngp.covariance=per_class", "methods.sngp.normalize_input=true", "train.precision=fp64"],
        ["train.precision=bf16", "methods.sngp.random_features=orthogonal"],
    ):
        (run,) = make_runs(*settings, toml=TOML)
        result = train(run)
        assert result["state"] == "finished", result["reason"]
        assembly = loaded(run)
        (head,) = heads_of(assembly)
        assert head.fitted
        assert torch.allclose(head.precision, precision_by_hand(assembly, head), rtol=1e-9, atol=1e-9)
        best = torch.load(run.checkpoints / "best.pt", weights_only=True) if result["best"] else None
        assert best is None or best["objective"]["model.head.fitted"]


def test_a_stopped_run_goes_on_to_the_same_bits(make_runs: MakeRuns, train: Train) -> None:
    """Each evaluation fits the covariance anew; singular vectors and moving averages are kept."""
    for form in ("exact", "momentum"):
        whole, stopped = (make_runs(f"methods.sngp.covariance={form}", toml=TOML)[0] for _ in range(2))
        expected = train(whole)
        assert expected["state"] == "finished", expected["reason"]
        assert train(stopped, [1])["state"] == "stopped"
        folders.update_submit(stopped, attempt=2)
        result = train(stopped)
        assert result["metrics"] == expected["metrics"]
        for name, value in end_of(whole).items():
            assert torch.equal(value, end_of(stopped)[name]), name


def test_evaluation_is_adjusted_and_training_is_not(make_runs: MakeRuns, train: Train) -> None:
    (run,) = make_runs(toml=TOML)
    train(run)
    assembly = loaded(run)
    (head,) = heads_of(assembly)
    h = torch.randn(5, 16)
    with torch.no_grad():
        plain = head.beta(head.features(h))
        adjusted = head.eval()(h)
        variance = head.predictive_variance(h)
        expected = plain / (1 + torch.pi / 8 * variance[:, None]).sqrt()
        assert torch.allclose(adjusted, expected.float(), atol=1e-6)
        assert torch.equal(head.train()(h), plain)
        assert not head.fitted, "a training pass is followed by a step"
        assert torch.equal(head.eval()(h), plain)


def test_hidden_weights_are_bounded_and_the_frozen_map_is_not(make_runs: MakeRuns, train: Train) -> None:
    (run,) = make_runs("methods.sngp.bound=0.5", "train.epochs=30", "train.evaluate_every=100%", toml=TOML)
    train(run)
    network = loaded(run).objective.eval().model
    assert sum(isinstance(m, SoftSpectralNorm) for m in network.modules()) == 2
    for layer in network.layers:  # type: ignore[union-attr]
        assert torch.linalg.matrix_norm(layer.weight, 2) < 0.55
        stored = layer.parametrizations.weight.original
        assert torch.linalg.matrix_norm(stored, 2) > torch.linalg.matrix_norm(layer.weight, 2)


def test_an_ensemble_has_a_process_a_network_and_sampled_dropout_fits_without_it(
    make_runs: MakeRuns, train: Train
) -> None:
    methods = "[[methods]]\nname = 'ensemble'\nmembers = 2\n[[methods]]\nname = 'sngp'"
    toml = TOML.replace('[[methods]]\nname = "sngp"', methods)
    (run,) = make_runs("methods.mc_dropout.samples=3", toml=toml)
    result = train(run)
    assert result["state"] == "finished", result["reason"]
    assembly = loaded(run)
    sampled = assembly.objective.eval().model
    assert isinstance(sampled, SampledNetwork)
    first, second = heads_of(assembly)
    assert not torch.equal(first.precision, second.precision)
    assert not torch.equal(first.directions, second.directions)
    batch = assembly.context.whole("train")
    with torch.no_grad():
        logits = sampled(batch.x)
        assert logits.shape == (6, 150, 2)
        assert torch.equal(logits, sampled(batch.x)), "the masks are those of the seed"
        assert not torch.equal(logits[0], logits[2])
        network = sampled.network.networks[0]  # type: ignore[union-attr,index]
        own = feature_precision(first.features(network.features(batch.x)))
    assert torch.allclose(first.precision, own, rtol=1e-9, atol=1e-9)


def test_with_ldam_on_a_long_tail_and_with_a_lottery(make_runs: MakeRuns, train: Train) -> None:
    (run,) = make_runs(*TAIL, "loss.name=ldam", "methods.class_weights.start_epoch=50%", toml=TOML)
    result = train(run)
    assert result["state"] == "finished", result["reason"]
    lottery = ["methods.lottery.rounds=2", "methods.lottery.controls=['random_mask']"]
    (run,) = make_runs(*TAIL, *lottery, toml=TOML)
    result = train(run)
    assert result["state"] == "finished", result["reason"]
    folders.update_submit(run, attempt=2)
    assert train(run)["metrics"] == result["metrics"]
    state = end_of(run, "level-2")
    masks = [mask for name, mask in state.items() if ".masks." in name]
    assert len(masks) == 4, "three convolutions and the layer over random features"
    assert not any(bool(mask.all()) for mask in masks)
    weights = [v for n, v in state.items() if n.endswith("parametrizations.weight.original")]
    assert len(weights) == 3
    ticket = f"methods.ticket={{run = '{run.root}', stage = 'level-1'}}"
    (again,) = make_runs(*TAIL, ticket, toml=TOML)
    result = train(again)
    assert result["state"] == "finished", result["reason"]
    assert all((w == 0).any() for w in weights)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (("model.head=cosine",), "takes the place of a linear head"),
        (("model.name=linear",), "no hidden layer whose norm could be bounded"),
        (
            ("methods.sngp.normalize_input=true", "methods.sngp.length_scale=2"),
            "a length scale means nothing",
        ),
        (("methods.sngp.spectral_norm=false", "methods.sngp.gaussian_process=false"), "both parts"),
        (("probes.ood.examples=odd",), 'the run has no examples "odd"'),
        (("probes.ood.dataset=digits",), "have the shape (8, 8, 1) and those of the run (2,)"),
        (("methods.sngp=false", "probes.ood.score=variance"), "predictions have no variance"),
        (("model.dropout=0", "methods.mc_dropout.samples=2"), "no dropout to sample"),
        (
            ("methods.lottery.rounds=1", "methods.lottery.controls=['random_reinit']"),
            "another method has changed the network's layers",
        ),
    ],
)
def test_what_is_refused(make_runs: MakeRuns, train: Train, settings: tuple[str, ...], says: str) -> None:
    (run,) = make_runs(*settings, toml=TOML)
    result = train(run)
    assert result["state"] == "failed"
    assert says in result["reason"]


@pytest.mark.slow
def test_two_processes_fit_the_covariance_of_one(
    make_runs: MakeRuns, train_on_two_ranks: Callable[..., None]
) -> None:
    (run,) = make_runs(toml=TOML)
    train_on_two_ranks(run)
    assembly = loaded(run)
    (head,) = heads_of(assembly)
    of_two = head.precision.clone()
    head.fitted.zero_()
    (method,) = assembly.objective.methods
    method.before_evaluation()  # type: ignore[operator]
    assert torch.allclose(of_two, head.precision, rtol=1e-9, atol=1e-9)
    assert of_two.trace() > 100
