"""CIFAR-10: 50,000 training and 10,000 test photographs of 10 classes, 32 x 32 colour (Krizhevsky 2009)."""

from __future__ import annotations

import hashlib
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from imbtui.datasets._cache import cached_array
from imbtui.datasets._classes import check_classes, noise_images, only, outside
from imbtui.datasets._pickles import read_cifar
from imbtui.datasets._source import damaged, fetch, missing
from imbtui.engine.examples import DataSplits, Examples
from imbtui.option_types import NonNegativeInt

NUM_CLASSES = 10
FILES: tuple[tuple[str, ...], ...] = (
    (
        "cifar-10-batches-py/data_batch_1",
        "cifar-10-batches-py/data_batch_2",
        "cifar-10-batches-py/data_batch_3",
        "cifar-10-batches-py/data_batch_4",
        "cifar-10-batches-py/data_batch_5",
        "cifar-10-batches-py/test_batch",
    ),
    ("CIFAR10/cifar10_jpeg.npz",),
    ("CIFAR10/cifar10_small.npz",),
)
FORMS = ("original", "jpeg", "small")
CLASS_NAMES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
MEAN = (0.4914, 0.4822, 0.4465)
STD = (0.2023, 0.1994, 0.2010)
"""Averages of the images' own deviations, as the papers use them (cao2019 §3), not of all pixels."""
NOISE_IMAGES = 1000

Arrays = tuple[NDArray[np.uint8], NDArray[np.int64]]


class CIFAR10:
    """CIFAR-10; images (N, 32, 32, 3) uint8.

    Args:
        form: which files to read. `original`: the pickles of `cifar-10-batches-py`. `jpeg`: all images,
            slightly lossy, in `CIFAR10/cifar10_jpeg.npz`; decoded once into the user's cache folder.
            `small`: the first 1,000 training and 200 test images of each class of `jpeg`. `auto`: the
            first of these that is there.
        classes: only these classes, numbered anew in this order; [3, 5] are cats and dogs. Test images
            of the others, and 1,000 images of random pixels drawn with `split_seed`, are then there for
            probes as `other_classes` and `noise` (byrd2019 §3).

    Raises:
        UserError: `classes` are not two or more different ones.
    """

    def __init__(
        self,
        *,
        form: Literal["auto", "original", "jpeg", "small"] = "auto",
        classes: list[NonNegativeInt] | None = None,
    ) -> None:
        if classes is not None:
            check_classes(classes, NUM_CLASSES)
        self.form = form
        self.classes = classes

    def load(self, root: Path, *, split_seed: int) -> DataSplits:
        """Read both splits from the data root; `split_seed` chooses no image, only those of noise.

        Raises:
            UserError: the files are missing or damaged.
        """
        read = {"original": _read_original, "jpeg": _read_jpeg, "small": _read_small}[self._find(root)]
        train, test = (Examples.of(*arrays) for arrays in read(root))
        classes = range(NUM_CLASSES) if self.classes is None else self.classes
        extra = {}
        if self.classes is not None:
            rng = np.random.RandomState(split_seed)
            extra = {
                "other_classes": outside(test, classes),
                "noise": noise_images(NOISE_IMAGES, test.x.shape[1:], rng),
            }
            train, test = only(train, classes), only(test, classes)
        return DataSplits(
            train=train,
            test=test,
            num_classes=len(classes),
            class_names=tuple(CLASS_NAMES[label] for label in classes),
            mean=MEAN,
            std=STD,
            extra=extra,
        )

    def download(self, root: Path) -> None:
        """Fetch the original form into the data root and verify its checksums.

        Raises:
            UserError: it could not be fetched.
        """
        from torchvision import datasets

        fetch("cifar10", root, lambda: datasets.CIFAR10(root, download=True))

    def _find(self, root: Path) -> str:
        for form, group in zip(FORMS, FILES, strict=True):
            if self.form in ("auto", form) and all((root / file).is_file() for file in group):
                return form
        raise missing("cifar10", root)


def _read_original(root: Path) -> tuple[Arrays, Arrays]:
    *batches, test = (read_cifar(root / file, "labels") for file in FILES[0])
    return (np.concatenate([x for x, _ in batches]), np.concatenate([y for _, y in batches])), test


def _read_small(root: Path) -> tuple[Arrays, Arrays]:
    path = root / FILES[2][0]
    try:
        with np.load(path, allow_pickle=False) as content:
            return (content["x_train"], content["y_train"]), (content["x_test"], content["y_test"])
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise damaged(path, error) from error


def _read_jpeg(root: Path) -> tuple[Arrays, Arrays]:
    path = root / FILES[1][0]
    try:
        with zipfile.ZipFile(path) as archive:
            sums = sorted((member.filename, member.CRC, member.file_size) for member in archive.infolist())
        version = hashlib.sha256(repr(sums).encode()).hexdigest()[:16]
        train, test = (_decoded_split(path, split, version) for split in ("train", "test"))
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise damaged(path, error) from error
    return train, test


def _decoded_split(path: Path, split: str, version: str) -> Arrays:
    with np.load(path, allow_pickle=False) as content:
        labels = content[f"{split}_y"]
        pixels = cached_array(
            f"cifar10_jpeg-{split}-{version}",
            lambda: decode_jpegs(content[f"{split}_jpeg"], content[f"{split}_offsets"]),
        )
    return pixels, labels


def decode_jpegs(stream: NDArray[np.uint8], offsets: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return images (N, 32, 32, 3) from JPEG files that lie end to end in `stream`.

    Args:
        stream: bytes of all files.
        offsets: (N + 1,); file i is `stream[offsets[i]:offsets[i + 1]]`.

    Raises:
        ValueError: a file is damaged or has another size.
    """
    from PIL import Image

    images = np.empty((len(offsets) - 1, 32, 32, 3), dtype=np.uint8)
    content = stream.tobytes()
    for number, (start, stop) in enumerate(zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)):
        try:
            with Image.open(BytesIO(content[start:stop]), formats=("JPEG",)) as image:
                images[number] = np.asarray(image.convert("RGB"))
        except OSError as error:
            raise ValueError(f"image {number} cannot be decoded: {error}") from error
    return images


build = CIFAR10
