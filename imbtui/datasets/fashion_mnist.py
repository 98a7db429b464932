"""Articles of clothing: 60,000 training and 10,000 test images, 28 x 28 grey (Zalando)."""

from __future__ import annotations

from pathlib import Path

from imbtui.datasets._idx import load_idx_splits
from imbtui.datasets._source import fetch
from imbtui.engine.examples import DataSplits

NUM_CLASSES = 10
FILES: tuple[tuple[str, ...], ...] = (
    (
        "FashionMNIST/raw/train-images-idx3-ubyte.gz",
        "FashionMNIST/raw/train-labels-idx1-ubyte.gz",
        "FashionMNIST/raw/t10k-images-idx3-ubyte.gz",
        "FashionMNIST/raw/t10k-labels-idx1-ubyte.gz",
    ),
    (
        "FashionMNIST/raw/train-images-idx3-ubyte",
        "FashionMNIST/raw/train-labels-idx1-ubyte",
        "FashionMNIST/raw/t10k-images-idx3-ubyte",
        "FashionMNIST/raw/t10k-labels-idx1-ubyte",
    ),
)
CLASS_NAMES = (
    "T-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)


class FashionMNIST:
    """Fashion-MNIST in torchvision's layout, compressed or extracted; images (N, 28, 28, 1) uint8."""

    def load(self, root: Path, *, split_seed: int) -> DataSplits:
        """Read both splits from the data root; `split_seed` chooses nothing here.

        Raises:
            UserError: a file is missing or damaged.
        """
        return load_idx_splits(
            "fashion_mnist", root, "FashionMNIST", class_names=CLASS_NAMES, mean=(0.2860,), std=(0.3530,)
        )

    def download(self, root: Path) -> None:
        """Fetch the data set into the data root and verify its checksums.

        Raises:
            UserError: it could not be fetched.
        """
        from torchvision import datasets

        fetch("fashion_mnist", root, lambda: datasets.FashionMNIST(root, download=True))


build = FashionMNIST
