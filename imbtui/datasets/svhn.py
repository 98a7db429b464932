"""Street View House Numbers: 73,257 training and 26,032 test digits, 32 x 32 colour (Netzer et al. 2011)."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from imbtui.datasets._source import damaged, fetch, missing
from imbtui.engine.examples import DataSplits, Examples

NUM_CLASSES = 10
FILES: tuple[tuple[str, ...], ...] = (("train_32x32.mat", "test_32x32.mat"),)


class SVHN:
    """The cropped digits in torchvision's layout; images (N, 32, 32, 3) uint8, label d is digit d."""

    def load(self, root: Path, *, split_seed: int) -> DataSplits:
        """Read both splits from the data root; `split_seed` chooses nothing here.

        Raises:
            UserError: a file is missing or damaged.
        """
        train, test = (root / file for file in FILES[0])
        if not (train.is_file() and test.is_file()):
            raise missing("svhn", root)
        return DataSplits(
            train=_read(train),
            test=_read(test),
            num_classes=NUM_CLASSES,
            class_names=tuple(str(digit) for digit in range(NUM_CLASSES)),
            mean=(0.4377, 0.4438, 0.4728),
            std=(0.1980, 0.2010, 0.1970),
        )

    def download(self, root: Path) -> None:
        """Fetch the data set into the data root and verify its checksums.

        Raises:
            UserError: it could not be fetched.
        """
        from torchvision import datasets

        for split in ("train", "test"):
            fetch("svhn", root, partial(datasets.SVHN, root, split=split, download=True))


def _read(path: Path) -> Examples:
    from scipy.io import loadmat

    try:
        content = loadmat(path)
        x = np.ascontiguousarray(np.asarray(content["X"], dtype=np.uint8).transpose(3, 0, 1, 2))
        y = np.asarray(content["y"], dtype=np.int64).ravel()
    except Exception as error:  # a damaged file raises almost anything
        raise damaged(path, error) from error
    if y.shape != x.shape[:1]:
        raise damaged(path, f"it holds {len(x)} images and {len(y)} labels")
    return Examples.of(x, y % 10)  # the files call digit 0 class 10


build = SVHN
