"""Collages of images that all show the same label: which of them does a model look at? (teney2022)"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from imbtui.datasets.cifar10 import CIFAR10
from imbtui.datasets.digits import read_digits
from imbtui.datasets.fashion_mnist import FashionMNIST
from imbtui.datasets.mnist import MNIST
from imbtui.datasets.svhn import SVHN
from imbtui.engine.examples import DataSplits, Examples
from imbtui.engine.seeding import seed_of
from imbtui.errors import UserError
from imbtui.numerics.whitening import fit_whitening
from imbtui.option_types import Count, NonNegative, NonNegativeInt

NUM_CLASSES = 2
FILES: tuple[tuple[str, ...], ...] = ()
WHERE = "dataset"
DIGIT_PAIRS = ((0, 1), (2, 7), (4, 9), (3, 8))
DIGIT_SHIFT = 0.3
DIGIT_TRAIN_SHARE = 0.7
SOURCES = {
    "mnist": (MNIST, (0, 1)),
    "cifar10": (CIFAR10, (1, 9)),  # automobile, truck
    "fashion_mnist": (FashionMNIST, (2, 4)),  # pullover, coat
    "svhn": (SVHN, (0, 1)),
}
"""The data set of each tile and its classes of label 0 and 1 (teney2022 §Collages data)."""
TILE_SIZE = 32


@dataclass(frozen=True)
class Pool:
    """Images that a tile may show: (N, h, w) floating point, with labels (N,) 0 or 1."""

    images: NDArray
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class Tile:
    """A place in the collage: its name, and what it may show in training and in test collages."""

    name: str
    train: Pool
    test: Pool


class Collages:
    """Two classes, grey images. In training every tile shows an image of the collage's label.

    `source = "digits"` (teney2022 §QUICK STUDY): 2 x 2 tiles of scikit-learn's digits, 16 x 16 pixels; from
    the top left by rows 0 or 1, 2 or 7, 4 or 9, 3 or 8, named `tile_0` to `tile_3`. A tile is contrast *
    (pixel - 0.3). 70 % of each digit's images are in training collages, the others in test collages.

    `source = "images"` (§Collages data): blocks of 32 x 32 pixels named after their data sets, of which
    every fourth pixel is kept in rows and columns. Training collages are of training images.

    Labels are half 0 and half 1; `split_seed` draws them and the images of every set and tile. The test
    split is of collages whose tiles all show the label. Further sets of `n_test` collages, one a tile and by
    its name, are for probes: there that tile alone shows the label, the others show either class.

    Args:
        source: `digits` or `images`.
        tiles: for `images`: two blocks, one above the other, or four: the first above the second on the
            left, the third above the fourth on the right.
        shuffle_tiles: every collage has its tiles in an order of its own.
        keep_every: for `images`: distance of the rows and columns that are kept.
        n_train: training collages; 51,200 for the paper's.
        n_test: test collages, and collages of each further set; 10,240 for the paper's.
        informative: number, from 0, of the only tile that shows the label in training: an upper limit for
            the set of this tile. Left out: all tiles do.
        contrasts: of the four tiles of digits.
        noise: for digits: standard deviations of Gaussian noise on the pixels of the four tiles.
        image_seed: which images of digits are in training collages, for all runs alike.
        components: 0: collages are images. Else they are this many principal components, whitened. These
            are of training collages whose tiles all show the label, also where `informative` is given.
    """

    def __init__(
        self,
        *,
        source: Literal["digits", "images"] = "digits",
        tiles: list[Literal["mnist", "cifar10", "fashion_mnist", "svhn"]] = [  # noqa: B006  never changed
            "mnist",
            "cifar10",
            "fashion_mnist",
            "svhn",
        ],
        shuffle_tiles: bool = False,
        keep_every: Literal[1, 2, 4, 8, 16] = 4,
        n_train: Count = 4000,
        n_test: Count = 1000,
        informative: NonNegativeInt | None = None,
        contrasts: list[NonNegative] = [1.0, 0.6, 0.6, 0.6],  # noqa: B006
        noise: list[NonNegative] = [0.0, 0.0, 0.0, 0.0],  # noqa: B006
        image_seed: NonNegativeInt = 0,
        components: NonNegativeInt = 0,
    ) -> None:
        count = len(DIGIT_PAIRS) if source == "digits" else len(tiles)
        if count not in (2, 4) or len(set(tiles)) < len(tiles):
            raise UserError("a collage has two or four different tiles", where=f"{WHERE}.tiles")
        for option, values in (("contrasts", contrasts), ("noise", noise)):
            if len(values) != len(DIGIT_PAIRS):
                raise UserError("give one value for each of the four tiles", where=f"{WHERE}.{option}")
        if informative is not None and informative >= count:
            raise UserError(f"there is no tile {informative}", where=f"{WHERE}.informative")
        self.source = source
        self.tiles = tiles
        self.shuffle_tiles = shuffle_tiles
        self.keep_every = keep_every
        self.n_train = n_train
        self.n_test = n_test
        self.informative = informative
        self.contrasts = contrasts
        self.noise = noise
        self.image_seed = image_seed
        self.components = components

    def load(self, root: Path, *, split_seed: int) -> DataSplits:
        """Draw all sets.

        Raises:
            UserError: a source's files are missing or damaged, or the collages vary in fewer directions than
                there are to be components.
        """
        tiles = self._digit_tiles() if self.source == "digits" else self._image_tiles(root)
        every = range(len(tiles))

        def draw(name: str, informative: Sequence[int]) -> tuple[NDArray, NDArray[np.int64]]:
            training = name == "train"
            return self._draw(
                [tile.train if training else tile.test for tile in tiles],
                self.n_train if training else self.n_test,
                informative,
                name=name,
                seed=split_seed,
            )

        sets = {"train": draw("train", every), "test": draw("test", every)}
        sets |= {tile.name: draw(tile.name, [number]) for number, tile in enumerate(tiles)}
        reference = sets["train"][0]
        if self.informative is not None:
            sets["train"] = draw("train", [self.informative])
        if self.components:
            try:
                whiten = fit_whitening(reference, self.components)
            except ValueError as error:
                raise UserError(str(error), where=f"{WHERE}.components") from None
            sets = {name: (whiten(x), y) for name, (x, y) in sets.items()}
        examples = {name: Examples.of(x, y) for name, (x, y) in sets.items()}
        return DataSplits(
            train=examples.pop("train"),
            test=examples.pop("test"),
            num_classes=NUM_CLASSES,
            class_names=("0", "1"),
            extra=examples,
        )

    def _draw(
        self, pools: Sequence[Pool], count: int, informative: Sequence[int], *, name: str, seed: int
    ) -> tuple[NDArray, NDArray[np.int64]]:
        """Return one set: images (count, H, W, 1) and labels (count,).

        Each tile draws from a stream of its own, so that no set or tile shifts another.
        """
        generators = [np.random.default_rng(seed_of(seed, "collages", name, n)) for n in range(len(pools))]
        order = np.random.default_rng(seed_of(seed, "collages", name))
        labels = order.permutation(np.arange(count) % NUM_CLASSES)
        shown = np.stack(
            [
                pool.images[
                    drawn_positions(
                        pool.labels,
                        labels if number in informative else None,
                        count,
                        rng,
                        replace=self.source == "digits",
                    )
                ]
                for number, (pool, rng) in enumerate(zip(pools, generators, strict=True))
            ],
            axis=1,
        )
        if any(self.noise):
            for number, (deviation, rng) in enumerate(zip(self.noise, generators, strict=True)):
                shown[:, number] += deviation * rng.standard_normal(shown[:, number].shape, np.float32)
        if self.shuffle_tiles:
            places = order.permuted(np.tile(np.arange(len(pools)), (count, 1)), axis=1)
            shown = np.take_along_axis(shown, places[:, :, None, None], axis=1)
        if self.source == "digits":
            return collage(shown[:, [0, 2, 1, 3]])[..., None], labels
        return subsampled(collage(shown), self.keep_every)[..., None], labels

    def _digit_tiles(self) -> list[Tile]:
        x, y = read_digits()
        rng = np.random.RandomState(self.image_seed)
        tiles = []
        for number, pair in enumerate(DIGIT_PAIRS):
            images = np.float32(self.contrasts[number]) * (x[..., 0] - np.float32(DIGIT_SHIFT))
            train, test = [], []
            for digit in pair:
                own = rng.permutation(np.flatnonzero(y == digit))
                first, rest = np.split(own, [round(DIGIT_TRAIN_SHARE * len(own))])
                train.append(first)
                test.append(rest)
            tiles.append(
                Tile(
                    f"tile_{number}",
                    *(
                        Pool(images[positions], (y[positions] == pair[1]).astype(np.int64))
                        for positions in (np.concatenate(train), np.concatenate(test))
                    ),
                )
            )
        return tiles

    def _image_tiles(self, root: Path) -> list[Tile]:
        tiles = []
        for name in self.tiles:
            make, pair = SOURCES[name]
            splits = make().load(root, split_seed=0)
            tiles.append(Tile(name, _pool(splits.train, pair), _pool(splits.test, pair)))
        return tiles


def _pool(examples: Examples, pair: tuple[int, int]) -> Pool:
    own = examples.take(np.flatnonzero(np.isin(examples.targets, pair)))
    grey = (own.x.mean(-1) / 255).astype(np.float32)
    before, after = ((TILE_SIZE - grey.shape[1] + extra) // 2 for extra in (0, 1))
    padded = np.pad(grey, ((0, 0), (before, after), (before, after)))
    return Pool(padded, (own.targets == pair[1]).astype(np.int64))


def drawn_positions(
    pool: NDArray[np.int64],
    labels: NDArray[np.int64] | None,
    count: int,
    rng: np.random.Generator,
    *,
    replace: bool,
) -> NDArray[np.int64]:
    """Return which images a tile shows in each of `count` collages (teney2022 §Collages data).

    Args:
        pool: label of each image, (N,).
        labels: label of each collage, (count,), where the tile shows it; None: any image.
        rng: a generator of this tile's own.
        replace: draw with replacement; else only where more are needed than there are.
    """

    def draw(candidates: NDArray[np.int64], number: int) -> NDArray[np.int64]:
        return rng.choice(candidates, number, replace=replace or number > len(candidates))

    if labels is None:
        return draw(np.arange(len(pool)), count)
    chosen = np.empty(count, np.int64)
    for label in range(NUM_CLASSES):
        places = np.flatnonzero(labels == label)
        chosen[places] = draw(np.flatnonzero(pool == label), len(places))
    return chosen


def collage(tiles: NDArray) -> NDArray:
    """Return tiles (N, T, h, w) in columns of two, the first above the second (teney2022 §Collages).

    The images are (N, 2 h, T / 2 w).
    """
    count, number, height, width = tiles.shape
    grid = tiles.reshape(count, number // 2, 2, height, width)
    return grid.transpose(0, 2, 3, 1, 4).reshape(count, 2 * height, number // 2 * width)


def subsampled(images: NDArray, keep_every: int) -> NDArray:
    """Return images (N, H, W) with rows and columns 0, k, 2 k ... alone (teney2022 §Collages data)."""
    return images[:, ::keep_every, ::keep_every]


build = Collages
