"""Batches: whole data sets resident on the device with batched augmentation, or streamed from files.

An epoch's order and augmentation are pure functions of the seed and the epoch's number, so a run can go
on in the middle of an epoch, and any number of processes sees the same global batches.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from imbtui.engine.batch import Batch
from imbtui.engine.examples import Examples
from imbtui.engine.seeding import seed_of
from imbtui.errors import UserError
from imbtui.numerics.standardise import standardise
from imbtui.recipe.schema import Augmentation

EVALUATION_BATCH = 1024


class Batches(Protocol):
    """The examples of one split as batches on the training device.

    Attributes:
        steps_per_epoch: training batches in an epoch, equal on all processes.
        input_shape: shape of one input, (C, H, W) or (D,).
    """

    steps_per_epoch: int
    input_shape: tuple[int, ...]

    def epoch(self, number: int, *, skip: int = 0, weights: Tensor | None = None) -> Iterator[Batch]:
        """Yield this process's share of the batches of one training epoch.

        Args:
            number: the epoch, from 0.
            skip: batches to leave out at its beginning.
            weights: relative draw probabilities (N,) for drawing with replacement; None: a permutation.
        """
        ...

    def evaluation(self, *, whole: bool = False) -> Iterator[Batch]:
        """Yield this process's share of all examples, or all of them, unaugmented, in order."""
        ...


class Order:
    """Which examples form the batches of an epoch; shared by resident and streamed batches.

    Args:
        count: examples in the split.
        batch_size: examples in a global batch, over all processes.
        drop_last: leave out a smaller last batch.
        seed: seed of the run.
        rank, world: this process and how many there are.
    """

    def __init__(
        self, count: int, batch_size: int, *, drop_last: bool, seed: int, rank: int, world: int
    ) -> None:
        self.count = count
        self.batch_size = min(batch_size, count)
        self.seed = seed
        self.rank = rank
        self.world = world
        whole, rest = divmod(count, self.batch_size)
        # A last batch with fewer examples than processes would leave a process without any.
        self.steps = whole + (rest >= world and not drop_last)

    def draw(self, number: int, weights: Tensor | None) -> Tensor:
        """Return the order of an epoch, (count,) int64 on the CPU."""
        generator = torch.Generator().manual_seed(seed_of(self.seed, "order", number))
        if weights is not None:
            return torch.multinomial(weights, self.count, replacement=True, generator=generator)
        return torch.randperm(self.count, generator=generator)

    def share(self, step: int) -> slice:
        """Return this process's slice of the epoch's order for one step."""
        start = step * self.batch_size
        stop = min(start + self.batch_size, self.count)
        size = stop - start
        return slice(start + size * self.rank // self.world, start + size * (self.rank + 1) // self.world)


class DeviceBatches:
    """A data set held on the device as it was stored (uint8 for images), augmented in batches.

    Every possible crop and mirror image is an element of one strided view of the padded images, so one
    index operation shuffles, crops and flips; one multiply-add scales and normalises.

    Args:
        examples: the split; images (N, H, W, C), features (N, D) or tokens (N, T).
        device: where the data lives and batches appear.
        dtype: floating-point type of inputs.
        augmentation: applied to training batches; `centre_crop`, `normalise` and `standardise` to all.
        mean, std: channel statistics for `normalise`.
        order: which examples form which batch.

    Raises:
        UserError: the centre crop is larger than the images, or tokens were to be changed.
    """

    def __init__(
        self,
        examples: Examples,
        *,
        device: torch.device,
        dtype: torch.dtype,
        augmentation: Augmentation,
        mean: tuple[float, ...] | None,
        std: tuple[float, ...] | None,
        order: Order,
    ) -> None:
        self.device, self.dtype, self.order = device, dtype, order
        self.steps_per_epoch = order.steps
        self.noise = augmentation.input_noise
        self.images = examples.x.ndim == 4
        self.standardise = augmentation.standardise
        x = torch.from_numpy(np.ascontiguousarray(examples.x))
        self.tokens = x.dtype == torch.int64
        if self.tokens and (self.noise or self.standardise):
            raise UserError(
                "tokens have no scale: neither noise nor standardising applies", where="augmentation"
            )
        window = self._window(x, augmentation.centre_crop)
        self.crop = augmentation.crop if self.images else 0
        self.flip = augmentation.flip and self.images
        self.view = self._every_crop(x, window) if self.crop or self.flip else None
        self.clean = x[:, window[0], window[1]].contiguous().to(device) if self.images else x.to(device)
        self.input_shape: tuple[int, ...] = (
            (x.shape[3], *self.clean.shape[1:3]) if self.images else tuple(x.shape[1:])
        )
        # On a CPU numpy copies runs of bytes where torch copies element by element.
        self.numpy_view = None if self.view is None or device.type != "cpu" else self.view.numpy()
        self.scale, self.shift = self._affine(augmentation.normalise, mean, std)
        self.targets = self._resident(examples.targets)
        self.clean_targets = self._resident(examples.clean_targets)
        self.is_corrupted = self._resident(examples.is_corrupted)
        self.group = None if examples.group is None else self._resident(examples.group)

    def _resident(self, values: np.ndarray) -> Tensor:
        resident = torch.from_numpy(np.ascontiguousarray(values)).to(self.device)
        return resident.to(self.dtype) if resident.is_floating_point() else resident

    def _window(self, x: Tensor, size: int) -> tuple[slice, slice]:
        """Return the rows and columns that a centre crop keeps; all of them without one."""
        if not self.images or not size:
            return slice(0, x.shape[1]), slice(0, x.shape[2] if self.images else 0)
        if size > min(x.shape[1:3]):
            raise UserError(
                f"images of {x.shape[1]} x {x.shape[2]} pixels have no centre of {size} x {size}",
                where="augmentation.centre_crop",
            )
        top, left = ((length - size) // 2 for length in x.shape[1:3])
        return slice(top, top + size), slice(left, left + size)

    def _every_crop(self, x: Tensor, window: tuple[slice, slice]) -> Tensor:
        """Return a view (flips, N, rows, columns, H, W * C) of all crops of the images, padded if need be."""
        # What shifted windows can reach: pixels around the centre crop where there are any, else zeros.
        ends = [
            (part.start - self.crop, part.stop + self.crop - length)
            for part, length in zip(window, x.shape[1:3], strict=True)
        ]
        (above, below), (before, after) = ends
        padded = F.pad(x, (0, 0, -before, after, -above, below))
        stacked = (torch.stack([padded, padded.flip(2)]) if self.flip else padded[None]).to(self.device)
        flips, count, height, width, channels = stacked.shape
        offsets = 2 * self.crop + 1
        row, image = width * channels, height * width * channels
        return stacked.as_strided(
            (flips, count, offsets, offsets, height - offsets + 1, (width - offsets + 1) * channels),
            (count * image, image, row, channels, row, 1),
        )

    def _affine(
        self, normalise: bool, mean: tuple[float, ...] | None, std: tuple[float, ...] | None
    ) -> tuple[Tensor | None, Tensor | None]:
        """Return scale and shift such that input = stored * scale - shift; None where not needed.

        Channel statistics are repeated along a row, (W * C,): over three channels alone, broadcasting
        would cost more than the arithmetic.
        """
        byte = 255.0 if self.clean.dtype == torch.uint8 else 1.0
        if not normalise or mean is None or std is None:
            one = torch.full((), 1 / byte, device=self.device, dtype=self.dtype)
            return (one if byte != 1.0 else None), None
        width = self.clean.shape[2]
        deviation = torch.tensor(std, device=self.device, dtype=self.dtype).repeat(width)
        center = torch.tensor(mean, device=self.device, dtype=self.dtype).repeat(width)
        return 1 / (byte * deviation), center / deviation

    def epoch(self, number: int, *, skip: int = 0, weights: Tensor | None = None) -> Iterator[Batch]:
        if (
            self.order.steps == 1
            and self.order.world == 1
            and weights is None
            and self.view is None
            and not self.noise
        ):
            # The whole data set at once: its order changes nothing.
            if not skip:
                yield self._whole
            return
        order = self.order.draw(number, weights)
        generator = torch.Generator().manual_seed(seed_of(self.order.seed, "augmentation", number))
        flips, rows, columns = (
            torch.randint(n, (len(order),), generator=generator)
            for n in (2 if self.flip else 1, 2 * self.crop + 1, 2 * self.crop + 1)
        )
        for step in range(skip, self.steps_per_epoch):
            share = self.order.share(step)
            chosen = order[share]
            if self.view is None:
                positions = chosen.to(self.device)
                x = self.clean[positions]
            else:
                x, positions = self._cropped(chosen, flips[share], rows[share], columns[share])
            x = self._finish(x)
            if self.noise:
                x = x + self.noise * self._gaussian(x, number, step)
            yield self._batch(positions, x)

    @functools.cached_property
    def _whole(self) -> Batch:
        return self._batch(torch.arange(len(self.targets), device=self.device), self._finish(self.clean))

    def _cropped(self, chosen: Tensor, flips: Tensor, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        assert self.view is not None
        height, width, channels = self.clean.shape[1:]
        if self.numpy_view is not None:
            x = torch.from_numpy(
                self.numpy_view[flips.numpy(), chosen.numpy(), rows.numpy(), columns.numpy()]
            )
            positions = chosen
        else:
            index = torch.stack([flips, chosen, rows, columns]).to(self.device, non_blocking=True)
            positions = index[1]
            x = self.view[index[0], positions, index[2], index[3]]
        return x.view(len(chosen), height, width, channels), positions

    def _gaussian(self, x: Tensor, number: int, step: int) -> Tensor:
        seed = seed_of(self.order.seed, "input noise", number, step, self.order.rank)
        generator = torch.Generator(self.device).manual_seed(seed)
        return torch.randn(x.shape, generator=generator, device=self.device, dtype=self.dtype)

    def _finish(self, x: Tensor) -> Tensor:
        """Scale stored values to inputs; images become (N, C, H, W), channels last in memory.

        Tokens stay as they are.
        """
        if self.tokens:
            return x
        shape = x.shape
        if x.dtype == self.dtype:
            # Stored as inputs already (digits, features): nothing may be changed in place.
            x = x if self.scale is None else x.flatten(2) * self.scale
            x = x if self.shift is None else x.flatten(2) - self.shift
        else:
            x = x.to(self.dtype)
            if self.images:
                x = x.flatten(2)
            if self.scale is not None:
                x = x.mul_(self.scale)
            if self.shift is not None:
                x = x.sub_(self.shift)
        if self.standardise:
            x = standardise(x)
        return x.view(shape).permute(0, 3, 1, 2) if self.images else x

    def _batch(self, positions: Tensor, x: Tensor) -> Batch:
        return Batch(
            x=x,
            y=self.targets[positions],
            index=positions,
            clean_targets=self.clean_targets[positions],
            is_corrupted=self.is_corrupted[positions],
            group=None if self.group is None else self.group[positions],
        )

    def evaluation(self, *, whole: bool = False) -> Iterator[Batch]:
        rank, world = (0, 1) if whole else (self.order.rank, self.order.world)
        for start in range(0, len(self.targets), EVALUATION_BATCH * world):
            mine = start + EVALUATION_BATCH * rank
            if mine < len(self.targets):
                stop = min(mine + EVALUATION_BATCH, len(self.targets))
                positions = torch.arange(mine, stop, device=self.device)
                yield self._batch(positions, self._finish(self.clean[mine:stop]))
