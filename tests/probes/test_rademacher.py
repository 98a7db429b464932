"""Random signs fitted: zhang2017 §5."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from imbtui.paths import RunPaths
from imbtui.probes.rademacher import sign_agreement

MakeRuns = Callable[..., list[RunPaths]]
Train = Callable[..., dict[str, Any]]


def test_agreement_of_signs() -> None:
    signs = torch.tensor([1, -1, -1, 1])
    assert float(sign_agreement(signs, signs)) == 1
    assert float(sign_agreement(torch.tensor([1, -1, 1, 1]), signs)) == 0.5


def test_fitted_random_signs_have_complexity_one(make_runs: MakeRuns, train: Train) -> None:
    (run,) = make_runs(
        "dataset.protocol=classes",
        "corruptions.long_tail=false",
        'corruptions.label_noise={kind = "uniform", rate = 1.0}',
        "corruptions.subset.n=20",
        "augmentation.input_noise=0.0",
        "train.epochs=400",
        "train.evaluate_every=400",
        "probes.rademacher.every=400",
    )
    metrics = train(run)["metrics"]
    assert metrics["rademacher/complexity"] == pytest.approx(2 * metrics["train/accuracy"] - 1)
    assert metrics["rademacher/complexity"] > 0.8


def test_the_complexity_needs_two_classes(make_runs: MakeRuns, train: Train) -> None:
    (run,) = make_runs("probes.rademacher=true")
    assert "needs two classes" in train(run)["reason"]
