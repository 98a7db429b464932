"""The idx format of MNIST and Fashion-MNIST, compressed or not."""

from __future__ import annotations

import gzip
import zlib
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imbtui.datasets._source import damaged, missing
from imbtui.engine.examples import DataSplits, Examples


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Return the array in an idx file of unsigned bytes; a name that ends in `.gz` is decompressed.

    The format: two zero bytes, 8 (unsigned bytes), the number of axes, the length of each axis as a
    big-endian 32-bit integer, the bytes in C order.

    Raises:
        UserError: the file is damaged.
    """
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb") as file:
            content = file.read()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise damaged(path, error) from error
    if content[:3] != b"\x00\x00\x08":
        raise damaged(path, "it is not an idx file of unsigned bytes")
    axes = int.from_bytes(content[3:4])
    start = 4 + 4 * axes
    shape = tuple(int.from_bytes(content[4 + 4 * axis : 8 + 4 * axis]) for axis in range(axes))
    if len(content) != start + prod(shape):
        raise damaged(path, "its length is not the one its header states")
    return np.frombuffer(bytearray(content[start:]), dtype=np.uint8).reshape(shape)


def load_idx_splits(
    name: str,
    root: Path,
    folder: str,
    *,
    class_names: tuple[str, ...],
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> DataSplits:
    """Return the training and test images of a data set in MNIST's layout, (N, 28, 28, 1) uint8.

    Args:
        name: the data set, for messages.
        root: the data root; the four files lie in `root/folder/raw`.

    Raises:
        UserError: a file is missing or damaged.
    """
    raw = root / folder / "raw"
    splits = {}
    for split in ("train", "t10k"):
        images, labels = (
            _find(name, root, raw / f"{split}-{part}-ubyte") for part in ("images-idx3", "labels-idx1")
        )
        x, y = read_idx(images), read_idx(labels)
        if x.ndim != 3 or y.shape != x.shape[:1]:
            raise damaged(images, f"it holds {x.shape} pixels for {y.shape} labels")
        splits[split] = Examples.of(x[..., np.newaxis], y)
    return DataSplits(
        train=splits["train"],
        test=splits["t10k"],
        num_classes=len(class_names),
        class_names=class_names,
        mean=mean,
        std=std,
    )


def _find(name: str, root: Path, path: Path) -> Path:
    for candidate in (path, path.with_name(path.name + ".gz")):
        if candidate.is_file():
            return candidate
    raise missing(name, root)
