"""Handwritten digits: 60,000 training and 10,000 test images, 28 x 28 grey (LeCun, Cortes and Burges)."""

from __future__ import annotations

from pathlib import Path

from imbtui.datasets._idx import load_idx_splits
from imbtui.datasets._source import fetch
from imbtui.engine.examples import DataSplits

NUM_CLASSES = 10
FILES: tuple[tuple[str, ...], ...] = (
    (
        "MNIST/raw/train-images-idx3-ubyte.gz",
        "MNIST/raw/train-labels-idx1-ubyte.gz",
        "MNIST/raw/t10k-images-idx3-ubyte.gz",
        "MNIST/raw/t10k-labels-idx1-ubyte.gz",
    ),
    (
        "MNIST/raw/train-images-idx3-ubyte",
        "MNIST/raw/train-labels-idx1-ubyte",
        "MNIST/raw/t10k-images-idx3-ubyte",
        "MNIST/raw/t10k-labels-idx1-ubyte",
    ),
)
CLASS_NAMES = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")


class MNIST:
    """MNIST in torchvision's layout, compressed or extracted; images (N, 28, 28, 1) uint8."""

    def load(self, root: Path, *, split_seed: int) -> DataSplits:
        """Read both splits from the data root; `split_seed` chooses nothing here.

        Raises:
            UserError: a file is missing or damaged.
        """
        return load_idx_splits("mnist", root, "MNIST", class_names=CLASS_NAMES, mean=(0.1307,), std=(0.3081,))

    def download(self, root: Path) -> None:
        """Fetch the data set into the data root and verify its checksums.

        Raises:
            UserError: it could not be fetched.
        """
        from torchvision import datasets

        fetch("mnist", root, lambda: datasets.MNIST(root, download=True))


build = MNIST
