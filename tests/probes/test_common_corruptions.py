"""Corrupted test images, laid out like CIFAR-10-C: measured set by set, refused where they do not fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imbtui.datasets.digits import Digits
from imbtui.paths import RunPaths

MakeRuns = Callable[..., list[RunPaths]]
Train = Callable[..., dict[str, Any]]
TOML = """
title = "corrupted digits"
[dataset]
name = "digits"
[model]
name = "mlp"
hidden = [32]
[optimizer]
lr = 0.1
momentum = 0.9
[train]
epochs = 8
batch_size = 64
threads = 1
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of the run's own test images with no noise at severity 1, then more and more."""
    test = Digits().load(tmp_path, split_seed=0).test
    rng = np.random.default_rng(0)
    for name, step in (("gaussian_noise", 0.2), ("fog", 0.1)):
        parts = [test.x + step * level * rng.standard_normal(test.x.shape) for level in range(5)]
        np.save(tmp_path / f"{name}.npy", np.concatenate(parts).astype(np.float32))
    np.save(tmp_path / "labels.npy", np.tile(test.targets, 5).astype(np.uint8))
    return tmp_path


def asked(folder: Path, **options: Any) -> str:
    given = {"folder": str(folder), "corruptions": ["gaussian_noise", "fog"], "every": "100%"} | options
    return "probes.common_corruptions={" + ", ".join(f"{k} = {v!r}" for k, v in given.items()) + "}"


def test_sets_are_measured_one_by_one_and_averaged(make_runs: MakeRuns, train: Train, folder: Path) -> None:
    (run,) = make_runs(asked(folder), toml=TOML)
    result = train(run)
    assert result["state"] == "finished", result["reason"]
    metrics = result["metrics"]
    found = {k.partition("/")[2]: v for k, v in metrics.items() if k.startswith("common_corruptions/")}
    for name in ("accuracy", "nll", "ece"):
        assert found[f"{name}_1"] == pytest.approx(metrics[f"test/{name}"]), "nothing was added there"
        assert found[name] == pytest.approx(np.mean([found[f"{name}_{s}"] for s in range(1, 6)]))
    assert found["accuracy_1"] > 0.9 > found["accuracy_5"]
    assert found["nll_5"] > found["nll_1"]
    (one,) = make_runs(asked(folder, corruptions=["fog"], severities=[2, 5]), toml=TOML)
    (other,) = make_runs(asked(folder, corruptions=["gaussian_noise"], severities=[2, 5]), toml=TOML)
    apart = [train(run)["metrics"] for run in (one, other)]
    for name in ("accuracy_2", "ece_5"):
        both = np.mean([metrics[f"common_corruptions/{name}"] for metrics in apart])
        assert both == pytest.approx(found[name])
    assert "common_corruptions/accuracy_1" not in apart[0]


def test_what_does_not_fit_is_told(make_runs: MakeRuns, train: Train, folder: Path) -> None:
    def reason(*assignments: str) -> str:
        (run,) = make_runs(*assignments, "train.epochs=1", toml=TOML)
        return train(run)["reason"]

    assert "Unpack the benchmark" in reason(asked(folder / "nowhere"))
    assert "there is no " in reason(asked(folder, corruptions=["snow"]))
    assert "no severity" in reason(asked(folder, severities=[]))
    assert "images of shape (8, 8, 1)" in reason(asked(folder), "dataset.name=gaussian_mixture")
    np.save(folder / "fog.npy", np.load(folder / "fog.npy")[:-1])
    assert "five equal parts" in reason(asked(folder))
    (folder / "fog.npy").write_bytes(b"no array")
    assert "damaged" in reason(asked(folder))
