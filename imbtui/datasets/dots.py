"""Two classes of one image each: a white and a black dot on grey; every shift of them is the test set."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from imbtui.engine.examples import DataSplits, Examples
from imbtui.option_types import Count

FILES: tuple[tuple[str, ...], ...] = ()


class Dots:
    """Images (2, size, size, 1) of zeros, with +1 (class 0) or -1 (class 1) at the centre (singla2021 §Data).

    There is no test set in the paper; here it is all circular shifts of both images, each with its label.

    Args:
        size: rows and columns; the paper uses odd ones from 1 to 29.
    """

    def __init__(self, *, size: Count = 15) -> None:
        self.size = size

    def load(self, root: Path, *, split_seed: int) -> DataSplits:
        """Make the images; neither the data root nor the seed is used."""
        signs = np.array([1.0, -1.0], dtype=np.float32)
        train = np.zeros((2, self.size, self.size, 1), dtype=np.float32)
        train[:, self.size // 2, self.size // 2, 0] = signs
        pixels = np.eye(self.size**2, dtype=np.float32).reshape(-1, self.size, self.size, 1)
        return DataSplits(
            train=Examples.of(train, np.array([0, 1])),
            test=Examples.of(
                np.concatenate([sign * pixels for sign in signs]), np.repeat([0, 1], self.size**2)
            ),
            num_classes=2,
            class_names=("white", "black"),
        )


build = Dots
