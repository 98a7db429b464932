"""MNIST and Fashion-MNIST: both layouts, damaged files, and the real data."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from imbtui import plugins
from imbtui.datasets._idx import read_idx
from imbtui.datasets.mnist import MNIST
from imbtui.engine.examples import DataSplits
from imbtui.errors import UserError


def idx_bytes(array: NDArray[np.uint8]) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return header + array.tobytes()


def write_mnist(root: Path, *, compressed: bool, folder: str = "MNIST") -> dict[str, NDArray[np.uint8]]:
    """Write a small data set in MNIST's layout and return its arrays."""
    raw = root / folder / "raw"
    raw.mkdir(parents=True)
    rng = np.random.RandomState(0)
    arrays = {}
    for split, count in (("train", 12), ("t10k", 5)):
        arrays[f"{split}-images-idx3-ubyte"] = rng.randint(0, 256, (count, 28, 28)).astype(np.uint8)
        arrays[f"{split}-labels-idx1-ubyte"] = rng.randint(0, 10, count).astype(np.uint8)
    for name, array in arrays.items():
        content = idx_bytes(array)
        if compressed:
            (raw / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (raw / name).write_bytes(content)
    return arrays


@pytest.mark.parametrize("compressed", [True, False])
def test_reads_both_layouts(tmp_path: Path, compressed: bool) -> None:
    arrays = write_mnist(tmp_path, compressed=compressed)
    splits = MNIST().load(tmp_path, split_seed=0)
    assert splits.train.x.dtype == np.uint8
    np.testing.assert_array_equal(splits.train.x[..., 0], arrays["train-images-idx3-ubyte"])
    np.testing.assert_array_equal(splits.test.targets, arrays["t10k-labels-idx1-ubyte"])
    assert splits.train.x.shape == (12, 28, 28, 1)
    # Every group of FILES names files that are enough on their own.
    group = plugins.literal("dataset", "mnist", "FILES")[0 if compressed else 1]
    assert all((tmp_path / file).is_file() for file in group)


def test_missing_names_root_and_command(tmp_path: Path) -> None:
    for name in ("mnist", "fashion_mnist"):
        with pytest.raises(UserError) as error:
            plugins.load("dataset", name)().load(tmp_path, split_seed=0)
        assert str(tmp_path) in str(error.value)
        assert f"imbtui data get {name}" in str(error.value)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: content + b"x",
        lambda content: b"<!doctype html>" + content,
        lambda content: content[:6],
        lambda content: b"",
    ],
)
@pytest.mark.parametrize("compressed", [True, False])
def test_damaged_is_one_sentence(tmp_path: Path, damage, compressed: bool) -> None:
    write_mnist(tmp_path, compressed=compressed)
    path = tmp_path / "MNIST" / "raw" / ("train-images-idx3-ubyte" + (".gz" if compressed else ""))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match="is damaged"):
        MNIST().load(tmp_path, split_seed=0)


def test_labels_must_match_images(tmp_path: Path) -> None:
    write_mnist(tmp_path, compressed=False)
    path = tmp_path / "MNIST" / "raw" / "train-labels-idx1-ubyte"
    path.write_bytes(idx_bytes(read_idx(path)[:-1]))
    with pytest.raises(UserError, match="is damaged"):
        MNIST().load(tmp_path, split_seed=0)


def check_statistics(splits: DataSplits) -> None:
    assert splits.mean is not None
    assert splits.std is not None
    share = np.bincount(splits.train.x.ravel(), minlength=256) / splits.train.x.size
    levels = np.arange(256) / 255
    mean = share @ levels
    assert mean == pytest.approx(splits.mean[0], abs=1e-4)
    assert np.sqrt(share @ (levels - mean) ** 2) == pytest.approx(splits.std[0], abs=1e-4)


def test_real_fashion_mnist(data_root: Path) -> None:
    splits = plugins.load("dataset", "fashion_mnist")().load(data_root, split_seed=0)
    assert splits.train.class_counts(10).tolist() == [6000] * 10
    assert splits.test.class_counts(10).tolist() == [1000] * 10
    assert splits.train.targets[:5].tolist() == [9, 0, 0, 3, 0]
    check_statistics(splits)


def test_real_mnist_downloads_from_what_is_there(data_root: Path, tmp_path: Path) -> None:
    """torchvision checks the sums of files that are there already and extracts them, without a network."""
    shutil.copytree(data_root / "MNIST", tmp_path / "MNIST", copy_function=shutil.copyfile)
    for folder, _, _ in os.walk(tmp_path):
        Path(folder).chmod(0o700)
    MNIST().download(tmp_path)
    assert (tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte").is_file()
    splits = MNIST().load(tmp_path, split_seed=0)
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert splits.train.class_counts(10).tolist() == counts
    assert len(splits.test) == 10_000
    check_statistics(splits)


def test_failed_download_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision import datasets

    def refuse(*args: object, **kwargs: object) -> None:
        raise RuntimeError("File not found or corrupted.")

    for name, source in [
        ("mnist", "MNIST"),
        ("fashion_mnist", "FashionMNIST"),
        ("cifar10", "CIFAR10"),
        ("cifar100", "CIFAR100"),
        ("svhn", "SVHN"),
    ]:
        monkeypatch.setattr(datasets, source, refuse)
        with pytest.raises(UserError, match=f'"{name}" could not be fetched into .*corrupted'):
            plugins.load("dataset", name)().download(tmp_path)
