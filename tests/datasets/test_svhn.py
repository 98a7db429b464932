"""SVHN: torchvision's layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from imbtui.datasets.svhn import SVHN
from imbtui.errors import UserError


def test_reads_and_renames_class_10(tmp_path: Path) -> None:
    x = np.random.RandomState(0).randint(0, 256, (32, 32, 3, 4)).astype(np.uint8)
    for split in ("train", "test"):
        savemat(tmp_path / f"{split}_32x32.mat", {"X": x, "y": np.array([[1], [10], [9], [2]], np.uint8)})
    splits = SVHN().load(tmp_path, split_seed=0)
    assert splits.train.targets.tolist() == [1, 0, 9, 2]
    np.testing.assert_array_equal(splits.test.x[2], x[..., 2])


def test_missing_and_damaged(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="imbtui data get svhn"):
        SVHN().load(tmp_path, split_seed=0)
    for split in ("train", "test"):
        (tmp_path / f"{split}_32x32.mat").write_bytes(b"<!doctype html>")
    with pytest.raises(UserError, match="is damaged"):
        SVHN().load(tmp_path, split_seed=0)
