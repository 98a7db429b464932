"""CIFAR-100: 50,000 training and 10,000 test photographs of 100 classes, 32 x 32 colour (Krizhevsky 2009)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from imbtui.datasets._pickles import read_cifar, read_pickle
from imbtui.datasets._source import damaged, fetch, missing
from imbtui.engine.examples import DataSplits, Examples

NUM_CLASSES = 100
FILES: tuple[tuple[str, ...], ...] = (
    ("cifar-100-python/train", "cifar-100-python/test", "cifar-100-python/meta"),
)


class CIFAR100:
    """CIFAR-100 with its 100 fine classes, in torchvision's layout; images (N, 32, 32, 3) uint8.

    Training examples know the super-class of each class: the coarse labels.
    """

    def load(self, root: Path, *, split_seed: int) -> DataSplits:
        """Read both splits from the data root; `split_seed` chooses nothing here.

        Raises:
            UserError: a file is missing or damaged.
        """
        train, test, meta = (root / file for file in FILES[0])
        if not (train.is_file() and test.is_file() and meta.is_file()):
            raise missing("cifar100", root)
        names = read_pickle(meta).get("fine_label_names", ())
        if len(names) != NUM_CLASSES:
            raise damaged(meta, f"it names {len(names)} classes")
        x, fine = read_cifar(train, "fine_labels")
        coarse = read_cifar(train, "coarse_labels")[1]
        superclasses = np.full(NUM_CLASSES, -1)
        superclasses[fine] = coarse
        return DataSplits(
            train=Examples.of(x, fine, superclasses=superclasses),
            test=Examples.of(*read_cifar(test, "fine_labels")),
            num_classes=NUM_CLASSES,
            class_names=tuple(names),
            mean=(0.5071, 0.4865, 0.4409),
            std=(0.2673, 0.2564, 0.2762),
        )

    def download(self, root: Path) -> None:
        """Fetch the data set into the data root and verify its checksums.

        Raises:
            UserError: it could not be fetched.
        """
        from torchvision import datasets

        fetch("cifar100", root, lambda: datasets.CIFAR100(root, download=True))


build = CIFAR100
