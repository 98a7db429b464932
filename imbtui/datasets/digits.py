"""Handwritten digits that come with scikit-learn: 1,797 images, 8 x 8 grey; nothing to download."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from imbtui.datasets._classes import check_classes, noise_images, only, outside
from imbtui.datasets._stratified import stratified_split
from imbtui.engine.examples import DataSplits, Examples
from imbtui.errors import UserError
from imbtui.option_types import Count, NonNegativeInt

NUM_CLASSES = 10
FILES: tuple[tuple[str, ...], ...] = ()
MEAN = (0.3053,)
STD = (0.3760,)
NOISE_IMAGES = 1000
VALIDATION = {"protocol": "split"}
VALIDATION_SIZE = "n_val"


class Digits:
    """scikit-learn's digits, pixels / 16: images (N, 8, 8, 1) float32 in [0, 1].

    `protocol = "split"` (frankle2019 §10): a permutation of all images, drawn with `split_seed`, is cut
    into training, validation and test examples in this order.

    `protocol = "stratified"` (zhang2017 §9, shared by several specs): a shuffled split that keeps the share
    of every digit, `n_test` test and all other training examples; `split_seed` gives the very examples of
    scikit-learn's `train_test_split(stratify=y, random_state=split_seed)`.

    `protocol = "long_tail"` (cao2019 §10, shared by several specs): `split_seed` draws which digit plays
    rank 0 (head) to 9 (tail) and shuffles the images of each digit; of each rank the first
    `test_per_class` are test examples, all others training examples, stored rank by rank. Labels are the
    ranks. The corruption `long_tail(pick = "first")` then cuts each rank to its count.

    `protocol = "classes"` (byrd2019 §10): `split_seed` permutes the images of each of `classes` in turn;
    the first `train_per_class` are training examples, the next `test_per_class` test examples. Labels are
    positions in `classes`. All images of the other digits, and 1,000 of random pixels, are there for
    probes as `other_classes` and `noise`.

    `protocol = "transfer"` (kornblith2021 §9): `split_seed` draws five classes, 70 % of whose images are
    training and 30 % test examples; of each of the other five `transfer_per_class` images are there for
    probes as `transfer_train`, and all their other images as `transfer_test`. Labels are 0 to 4 in either.

    Args:
        protocol: one of the five.
        n_train: training examples of `split`.
        n_val: validation examples of `split`; 0: none.
        n_test: test examples of `stratified`.
        test_per_class: test examples a class of `long_tail` and `classes`.
        classes: digits of `classes`.
        train_per_class: training examples a class of `classes`.
        transfer_per_class: labelled images of each of the other classes of `transfer`.
        pixels: `unit`: in [0, 1]; `symmetric`: in [-1, 1]; `centred`: less each pixel's mean over all
            images, and scaled so that the norm of an image is 8 on average (both nakkiran2019 §9). The last
            two are not for `classes`, whose random pixels are in [0, 1].
    """

    def __init__(
        self,
        *,
        protocol: Literal["split", "stratified", "long_tail", "classes", "transfer"] = "split",
        n_train: Count = 1000,
        n_val: NonNegativeInt = 300,
        n_test: Count = 360,
        test_per_class: Count = 50,
        classes: list[NonNegativeInt] = [3, 5],  # noqa: B006  a recipe's default; never changed
        train_per_class: Count = 130,
        transfer_per_class: Count = 10,
        pixels: Literal["unit", "symmetric", "centred"] = "unit",
    ) -> None:
        check_classes(classes, NUM_CLASSES)
        if protocol == "classes" and pixels != "unit":
            raise UserError('protocol "classes" has pixels in [0, 1]', where="dataset.pixels")
        self.pixels = pixels
        self.protocol = protocol
        self.n_train = n_train
        self.n_val = n_val
        self.n_test = n_test
        self.test_per_class = test_per_class
        self.classes = classes
        self.train_per_class = train_per_class
        self.transfer_per_class = transfer_per_class

    def load(self, root: Path, *, split_seed: int) -> DataSplits:
        """Return the splits of the protocol; the data root is not used.

        Raises:
            UserError: there are too few images of a digit, or no test example would be left.
        """
        x, y = read_digits()
        x = scaled_pixels(x, self.pixels)
        rng = np.random.RandomState(split_seed)
        draw = {
            "split": self._split,
            "stratified": self._stratified,
            "long_tail": self._long_tail,
            "classes": self._classes,
            "transfer": self._transfer,
        }[self.protocol]
        splits = draw(x, y, rng)
        # Known of pixels in [0, 1] only.
        return splits if self.pixels == "unit" else dataclasses.replace(splits, mean=None, std=None)

    def _split(self, x: NDArray, y: NDArray, rng: np.random.RandomState) -> DataSplits:
        stop = self.n_train + self.n_val
        if stop >= len(y):
            raise UserError(
                f"{self.n_train} training and {self.n_val} validation examples leave no test example "
                f"of the {len(y)} digits",
                where="dataset",
            )
        everything = Examples.of(x, y)
        train, val, test = np.split(rng.permutation(len(y)), [self.n_train, stop])
        return DataSplits(
            train=everything.take(train),
            val=everything.take(val) if self.n_val else None,
            test=everything.take(test),
            num_classes=NUM_CLASSES,
            class_names=tuple(f"digit {digit}" for digit in range(NUM_CLASSES)),
            mean=MEAN,
            std=STD,
        )

    def _stratified(self, x: NDArray, y: NDArray, rng: np.random.RandomState) -> DataSplits:
        if self.n_test >= len(y):
            raise UserError(
                f"{self.n_test} test examples leave no training example of the {len(y)} digits",
                where="dataset.n_test",
            )
        everything = Examples.of(x, y)
        train, test = stratified_split(y, len(y) - self.n_test, self.n_test, rng)
        return DataSplits(
            train=everything.take(train),
            test=everything.take(test),
            num_classes=NUM_CLASSES,
            class_names=tuple(f"digit {digit}" for digit in range(NUM_CLASSES)),
            mean=MEAN,
            std=STD,
        )

    def _long_tail(self, x: NDArray, y: NDArray, rng: np.random.RandomState) -> DataSplits:
        most = int(np.bincount(y).min()) - 1
        if self.test_per_class > most:
            raise UserError(
                f"{self.test_per_class} test examples a class leave no training example of some digit",
                where="dataset.test_per_class",
                hint=f"At most {most} are possible.",
            )
        order = rng.permutation(NUM_CLASSES)
        ranks = np.empty_like(order)
        ranks[order] = np.arange(NUM_CLASSES)
        everything = Examples.of(x, ranks[y])
        train, test = [], []
        for digit in order:
            positions = np.flatnonzero(y == digit)
            rng.shuffle(positions)
            test.append(positions[: self.test_per_class])
            train.append(positions[self.test_per_class :])
        return DataSplits(
            train=everything.take(np.concatenate(train)),
            test=everything.take(np.concatenate(test)),
            num_classes=NUM_CLASSES,
            class_names=tuple(f"digit {digit}" for digit in order),
            mean=MEAN,
            std=STD,
        )

    def _classes(self, x: NDArray, y: NDArray, rng: np.random.RandomState) -> DataSplits:
        everything = Examples.of(x, y)
        train, test = [], []
        for digit in self.classes:
            positions = rng.permutation(np.flatnonzero(y == digit))
            if self.train_per_class + self.test_per_class > len(positions):
                raise UserError(
                    f"there are {len(positions)} images of the digit {digit}, and "
                    f"{self.train_per_class} + {self.test_per_class} are asked for",
                    where="dataset.train_per_class",
                )
            train.append(positions[: self.train_per_class])
            test.append(positions[self.train_per_class :][: self.test_per_class])
        return DataSplits(
            train=only(everything.take(np.concatenate(train)), self.classes),
            test=only(everything.take(np.concatenate(test)), self.classes),
            num_classes=len(self.classes),
            class_names=tuple(f"digit {digit}" for digit in self.classes),
            mean=MEAN,
            std=STD,
            extra={
                "other_classes": outside(everything, self.classes),
                "noise": noise_images(NOISE_IMAGES, x.shape[1:], rng),
            },
        )

    def _transfer(self, x: NDArray, y: NDArray, rng: np.random.RandomState) -> DataSplits:
        smallest = int(np.bincount(y).min())
        if self.transfer_per_class >= smallest:
            raise UserError(
                f"{self.transfer_per_class} labelled images a class leave no image of some digit to test on",
                where="dataset.transfer_per_class",
                hint=f"At most {smallest - 1} are possible.",
            )
        everything = Examples.of(x, y)
        trained, others = np.split(rng.permutation(NUM_CLASSES), 2)
        order = rng.permutation(np.flatnonzero(np.isin(y, trained)))
        train, test = np.split(order, [round(0.7 * len(order))])
        labelled, rest = [], []
        for digit in others:
            positions = rng.permutation(np.flatnonzero(y == digit))
            labelled.append(positions[: self.transfer_per_class])
            rest.append(positions[self.transfer_per_class :])
        return DataSplits(
            train=only(everything.take(train), trained.tolist()),
            test=only(everything.take(test), trained.tolist()),
            num_classes=len(trained),
            class_names=tuple(f"digit {digit}" for digit in trained),
            mean=MEAN,
            std=STD,
            extra={
                "transfer_train": only(everything.take(np.concatenate(labelled)), others.tolist()),
                "transfer_test": only(everything.take(np.concatenate(rest)), others.tolist()),
            },
        )


def scaled_pixels(x: NDArray[np.float32], pixels: str) -> NDArray[np.float32]:
    """Return images in [0, 1] with `pixels` as the recipe asks for them."""
    if pixels == "symmetric":
        return 2 * x - 1
    if pixels == "centred":
        centred = x - x.mean(0)
        return centred * (8 / np.linalg.norm(centred.reshape(len(x), -1), axis=1).mean())
    return x


def read_digits() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return scikit-learn's digits: images (1797, 8, 8, 1) in [0, 1] and labels (1797,)."""
    # Importing sklearn.datasets takes ten times as long as reading the file it ships.
    spec = importlib.util.find_spec("sklearn")
    folders = [] if spec is None else spec.submodule_search_locations or []
    tables = [path for f in folders if (path := Path(f, "datasets", "data", "digits.csv.gz")).is_file()]
    if tables:
        table = np.loadtxt(tables[0], delimiter=",")
        pixels, labels = table[:, :-1], table[:, -1]
    else:
        from sklearn.datasets import load_digits

        pixels, labels = load_digits(return_X_y=True)
    return (pixels / 16).astype(np.float32).reshape(-1, 8, 8, 1), labels.astype(np.int64)


build = Digits
