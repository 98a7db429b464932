"""Samples per second of device-resident batches against the usual loop, side by side on the CPU.

    python tests/benchmarks/input_pipeline.py [--images 12406] [--rounds 5]

Both give batches of 128 normalised 32x32x3 images, padded by 4, cropped at random and mirrored. The usual
loop is PIL images through torchvision transforms in a DataLoader with 2 workers. Rounds alternate; the
ratio is taken within a round. The last line is the median ratio.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from imbtui.engine.batches import DeviceBatches, Order
from imbtui.engine.examples import Examples
from imbtui.recipe.schema import Augmentation

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
BATCH = 128


class PilImages(Dataset):
    """What torchvision's CIFAR-10 does for each item."""

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        from torchvision import transforms as T

        self.x, self.y = x, y
        self.transform = T.Compose(
            [T.RandomCrop(32, padding=4), T.RandomHorizontalFlip(), T.ToTensor(), T.Normalize(MEAN, STD)]
        )

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, position: int) -> tuple[Any, int]:
        from PIL import Image

        return self.transform(Image.fromarray(self.x[position])), int(self.y[position])


def seconds(epoch: Callable[[], Iterable[Any]]) -> float:
    began = time.perf_counter()
    for _ in epoch():
        pass
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=12_406)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (options.images, 32, 32, 3), dtype=np.uint8)
    y = rng.integers(0, 10, options.images)
    usual = DataLoader(PilImages(x, y), BATCH, shuffle=True, num_workers=2)
    resident = DeviceBatches(
        Examples.of(x, y),
        device=torch.device("cpu"),
        dtype=torch.float32,
        augmentation=Augmentation(crop=4, flip=True, normalise=True),
        mean=MEAN,
        std=STD,
        order=Order(options.images, BATCH, drop_last=False, seed=0, rank=0, world=1),
    )
    seconds(lambda: resident.epoch(0))
    ratios = []
    for number in range(options.rounds):
        ours = min(seconds(partial(resident.epoch, epoch)) for epoch in range(3))
        theirs = seconds(lambda: usual)
        ratios.append(theirs / ours)
        print(
            f"round {number}: resident {options.images / ours:9.0f} images/s, "
            f"PIL + DataLoader {options.images / theirs:9.0f} images/s, ratio {ratios[-1]:.1f}"
        )
    print(f"median ratio {statistics.median(ratios):.1f}")


if __name__ == "__main__":
    main()
