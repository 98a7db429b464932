"""Reading the pickles that CIFAR is published as, without running anything they name."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbtui.datasets._source import damaged

_ALLOWED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("_codecs", "encode"),  # how Python 3 writes bytes in old protocols
}


class _ArraysOnly(pickle.Unpickler):
    """Builds dictionaries, lists, numbers, texts and arrays; refuses to look up anything else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which image data does not need")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def read_pickle(path: Path) -> dict[str, Any]:
    """Return the dictionary in a pickle of plain values and arrays (texts of Python 2 as Latin-1).

    Raises:
        UserError: the file is damaged, or names code.
    """
    with open(path, "rb") as file:
        try:
            content = _ArraysOnly(file, encoding="latin1").load()
        except Exception as error:  # a damaged pickle raises almost anything
            raise damaged(path, error) from error
    if not isinstance(content, dict):
        raise damaged(path, "it holds no table")
    return content


def read_cifar(path: Path, labels: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return images (N, 32, 32, 3) and labels (N,) of one file of CIFAR-10 or CIFAR-100.

    Args:
        labels: key of the labels, `labels` or `fine_labels`.

    Raises:
        UserError: the file is damaged.
    """
    content = read_pickle(path)
    try:
        x = np.asarray(content["data"], dtype=np.uint8).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        y = np.asarray(content[labels], dtype=np.int64)
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(path, error) from error
    if y.shape != x.shape[:1]:
        raise damaged(path, f"it holds {len(x)} images and {y.size} labels")
    return np.ascontiguousarray(x), y
