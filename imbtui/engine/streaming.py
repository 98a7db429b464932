"""Batches of image files that do not fit on the device: decoded by worker processes while training."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from imbtui.engine.batch import Batch
from imbtui.engine.batches import EVALUATION_BATCH, Order
from imbtui.engine.examples import Examples
from imbtui.engine.seeding import seed_of
from imbtui.errors import UserError
from imbtui.numerics.standardise import standardise
from imbtui.recipe.schema import Augmentation


class ImageFiles(Dataset):
    """Decodes image files; the key of an item is (position, augmentation seed or -1 for none)."""

    def __init__(
        self,
        paths: np.ndarray,
        size: int,
        augmentation: Augmentation,
        mean: tuple[float, ...] | None,
        std: tuple[float, ...] | None,
    ) -> None:
        self.paths = paths
        self.size = size
        self.augmentation = augmentation
        self.statistics = (mean, std) if augmentation.normalise and mean and std else None

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, key: tuple[int, int]) -> Tensor:
        from PIL import Image
        from torchvision.transforms import v2
        from torchvision.transforms.v2 import functional as T

        position, seed = key
        with Image.open(self.paths[position]) as image:
            x = T.pil_to_tensor(image.convert("RGB"))
        x = T.center_crop(T.resize(x, [self.size], antialias=True), [self.size])
        if seed >= 0:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                if self.augmentation.crop:
                    x = v2.RandomCrop(self.size, padding=self.augmentation.crop)(x)
                if self.augmentation.flip:
                    x = v2.RandomHorizontalFlip()(x)
                x = self._scaled(x)
                if self.augmentation.input_noise:
                    x = x + self.augmentation.input_noise * torch.randn_like(x)
            return x
        return self._scaled(x)

    def _scaled(self, x: Tensor) -> Tensor:
        from torchvision.transforms.v2 import functional as T

        x = T.to_dtype(x, torch.float32, scale=True)
        if self.augmentation.standardise:
            return standardise(x[None])[0]
        return T.normalize(x, *map(list, self.statistics)) if self.statistics else x


class StreamingBatches:
    """The `Batches` protocol over image files.

    Args:
        examples: `x` holds file names.
        size: images are resized and centre-cropped to size x size.
        workers: decoding processes; by default the cores this process may use, less one.

    Raises:
        UserError: a centre crop is asked for.
    """

    def __init__(
        self,
        examples: Examples,
        *,
        size: int,
        device: torch.device,
        dtype: torch.dtype,
        augmentation: Augmentation,
        mean: tuple[float, ...] | None,
        std: tuple[float, ...] | None,
        order: Order,
        workers: int | None = None,
    ) -> None:
        if augmentation.centre_crop:
            raise UserError(
                "image files are cut to augmentation.image_size already", where="augmentation.centre_crop"
            )
        self.device, self.dtype, self.order = device, dtype, order
        self.steps_per_epoch = order.steps
        self.input_shape: tuple[int, ...] = (3, size, size)
        self.images = ImageFiles(examples.x, size, augmentation, mean, std)
        self.workers = max(0, len(os.sched_getaffinity(0)) - 1) if workers is None else workers
        self.columns = {
            "y": examples.targets,
            "clean_targets": examples.clean_targets,
            "is_corrupted": examples.is_corrupted,
        }
        self.group = examples.group

    def epoch(self, number: int, *, skip: int = 0, weights: Tensor | None = None) -> Iterator[Batch]:
        order = self.order.draw(number, weights).numpy()
        shares = [order[self.order.share(step)] for step in range(skip, self.steps_per_epoch)]
        keys = [
            [(int(p), seed_of(self.order.seed, "augmentation", number, int(p))) for p in s] for s in shares
        ]
        yield from self._load(shares, keys)

    def evaluation(self, *, whole: bool = False) -> Iterator[Batch]:
        chunks = np.array_split(np.arange(len(self.images)), -(-len(self.images) // EVALUATION_BATCH))
        mine = chunks if whole else chunks[self.order.rank :: self.order.world]
        yield from self._load(mine, [[(int(p), -1) for p in chunk] for chunk in mine])

    def _load(self, shares: list[np.ndarray], keys: list[list[tuple[int, int]]]) -> Iterator[Batch]:
        loader = DataLoader(
            self.images,
            batch_sampler=keys,
            num_workers=min(self.workers, len(keys)),
            pin_memory=self.device.type == "cuda",
        )
        for positions, x in zip(shares, loader, strict=True):
            column = {k: torch.from_numpy(v[positions]).to(self.device) for k, v in self.columns.items()}
            yield Batch(
                x=x.to(self.device, self.dtype, non_blocking=True),
                index=torch.from_numpy(positions).to(self.device),
                group=None if self.group is None else torch.from_numpy(self.group[positions]).to(self.device),
                **column,
            )
