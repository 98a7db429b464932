"""Probes of verma2019 in runs, against what the stored network says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from imbtui.datasets.digits import Digits
from imbtui.engine.layers import chosen_places, states_at
from imbtui.engine.neighbours import load_network
from imbtui.numerics.adversarial import fgsm, pgd
from imbtui.paths import RunPaths
from imbtui.probes.flattening import summary

MakeRuns = Callable[..., list[RunPaths]]
Train = Callable[..., dict[str, Any]]
TOML = """
[dataset]
name = "digits"
n_train = 300
[model]
name = "mlp"
hidden = [16, 8]
[optimizer]
lr = 0.1
momentum = 0.9
[train]
steps = 60
batch_size = 50
evaluate_every = "100%"
threads = 1
[[probes]]
name = "adversarial_accuracy"
eps = [0.05, 0.2]
every = "100%"
[[probes]]
name = "flattening"
every = "100%"
[[probes]]
name = "interpolation_nll"
every = "100%"
"""


@pytest.mark.parametrize("normalise", [False, True])
def test_probes_of_robustness_and_flattening(make_runs: MakeRuns, train: Train, normalise: bool) -> None:
    (run,) = make_runs(f"augmentation.normalise={str(normalise).lower()}", toml=TOML)
    result = train(run)
    assert result["state"] == "finished", result["reason"]
    found = result["metrics"]
    splits = Digits(n_train=300).load(run.root, split_seed=0)
    mean, std = (splits.mean[0], splits.std[0]) if normalise and splits.mean and splits.std else (0.0, 1.0)
    model = load_network(run, (1, 8, 8), torch.device("cpu"), where="test")
    x, y = (torch.from_numpy(a) for a in (splits.test.x.transpose(0, 3, 1, 2), splits.test.targets))

    def accuracy(pixels: torch.Tensor) -> float:
        return float((model((pixels - mean) / std).argmax(1) == y).double().mean())

    def logits_of(pixels: torch.Tensor) -> torch.Tensor:
        return model((pixels - mean) / std)

    assert found["adversarial_accuracy/clean"] == pytest.approx(found["test/accuracy"])
    for eps in (0.05, 0.2):
        one = accuracy(fgsm(logits_of, x, y, eps=eps))
        ten = accuracy(pgd(logits_of, x, y, eps=eps, step=eps / 5, steps=10))
        assert found[f"adversarial_accuracy/fgsm_{eps}"] == pytest.approx(one, abs=2 / len(y))
        assert found[f"adversarial_accuracy/pgd_{eps}"] == pytest.approx(ten, abs=2 / len(y))
        assert ten < one < found["test/accuracy"]

    train_x = torch.from_numpy(splits.train.x.transpose(0, 3, 1, 2))
    place = chosen_places(model, ["layer2"], where="test")["layer2"]
    with torch.no_grad():
        (states,) = states_at(model, place, (train_x - mean) / std)
    for key, value in summary(states.double(), torch.from_numpy(splits.train.targets)).items():
        assert found[f"flattening/layer2/{key}"] == pytest.approx(value, rel=1e-4)
    assert 0 < found["flattening/layer1/scatter_ratio"] < 1

    curve = found["interpolation_nll/input"]
    assert len(curve) == 11
    # At both ends nothing is mixed, whoever is whose partner.
    assert curve[0] == pytest.approx(found["test/nll"], rel=1e-4)
    assert curve[-1] == pytest.approx(found["test/nll"], rel=1e-4)
    assert curve[5] > curve[-1]


def test_inputs_without_a_common_unit_are_refused(make_runs: MakeRuns, train: Train) -> None:
    (run,) = make_runs("augmentation.standardise=true", toml=TOML)
    assert "no common unit of pixels" in train(run)["reason"]
