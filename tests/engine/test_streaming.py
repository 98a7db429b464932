"""Image folders: decoded while training, behind the same protocol as resident data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from imbtui.engine.batches import Order
from imbtui.engine.examples import Examples
from imbtui.engine.streaming import StreamingBatches
from imbtui.paths import RunPaths
from imbtui.recipe.schema import Augmentation

MakeRuns = Callable[..., list[RunPaths]]
Train = Callable[..., dict[str, Any]]

TOML = """
title = "folder"
[dataset]
name = "image_folder"
folder = "{folder}"
[augmentation]
image_size = 16
crop = 2
flip = true
[model]
name = "small_cnn"
[optimizer]
lr = 0.05
momentum = 0.9
[train]
epochs = 4
evaluate_every = 4
batch_size = 10
threads = 1
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of 20 x 24 pixels that differ in brightness: 20 training and 6 test images each."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 20), ("test", 6)):
        for name, level in (("dark", 40), ("light", 200)):
            place = tmp_path / "images" / split / name
            place.mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(level - 30, level + 30, (20, 24, 3)).astype(np.uint8)
                Image.fromarray(pixels).save(place / f"{number:02d}.png")
    return tmp_path / "images"


def test_an_image_folder_trains_and_learns(make_runs: MakeRuns, train: Train, folder: Path) -> None:
    (run,) = make_runs(toml=TOML.format(folder=folder), name="folder")
    result = train(run)
    assert result["state"] == "finished", result["reason"]
    assert result["metrics"]["test/accuracy"] == 1.0


def test_streamed_batches_depend_on_seed_and_epoch_alone(folder: Path) -> None:
    paths = np.array(sorted(str(p) for p in (folder / "train").rglob("*.png")))
    examples = Examples.of(paths, np.arange(40) // 20)

    def batches(workers: int) -> StreamingBatches:
        return StreamingBatches(
            examples,
            size=16,
            device=torch.device("cpu"),
            dtype=torch.float32,
            augmentation=Augmentation(crop=2, flip=True, input_noise=0.1),
            mean=None,
            std=None,
            order=Order(40, 16, drop_last=False, seed=1, rank=0, world=1),
            workers=workers,
        )

    inline, forked = list(batches(0).epoch(3)), list(batches(2).epoch(3))
    rest = list(batches(0).epoch(3, skip=1))
    assert [len(b) for b in inline] == [16, 16, 8]
    for a, b in zip(inline, forked, strict=True):
        assert torch.equal(a.x, b.x)
        assert torch.equal(a.y, b.y)
    assert torch.equal(rest[0].x, inline[1].x)
    assert not torch.equal(next(iter(batches(0).epoch(4))).x, inline[0].x)
    (clean,) = batches(0).evaluation()
    assert clean.x.shape == (40, 3, 16, 16)
    assert clean.index.tolist() == list(range(40))
    assert 0 <= clean.x.min() <= clean.x.max() <= 1
