"""Image files in folders named after their classes, under train/ and val/ or test/; read while training."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from imbtui import files
from imbtui.engine.examples import DataSplits, Examples
from imbtui.errors import UserError

FILES: tuple[tuple[str, ...], ...] = ()
SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
VALIDATION: dict[str, str] = {}  # where the folder holds one


class ImageFolder:
    """Images at `<folder>/<split>/<class>/**/<file>`; `x` holds their file names.

    Classes are the folders under `train/`, sorted by name. `test/` holds the test examples and `val/`
    the validation examples; where only one of the two is there, it holds the test examples.

    Args:
        folder: the data set's folder, relative to the data root or absolute.
    """

    def __init__(self, *, folder: str) -> None:
        self.folder = folder

    def load(self, root: Path, *, split_seed: int) -> DataSplits:
        """List the files; `split_seed` chooses nothing here.

        Raises:
            UserError: a folder is missing or empty, or a split has a class that training lacks.
        """
        base = root / self.folder
        if not (base / "train").is_dir():
            raise UserError(
                f"{_shown(base)} has no folder train with one folder of images a class",
                where="dataset.folder",
            )
        held_out = [split for split in ("test", "val") if (base / split).is_dir()]
        if not held_out:
            raise UserError(f"{_shown(base)} has no folder test and no folder val", where="dataset.folder")
        classes = sorted(entry.name for entry in (base / "train").iterdir() if entry.is_dir())
        return DataSplits(
            train=_listed(base / "train", classes),
            test=_listed(base / held_out[0], classes),
            val=_listed(base / "val", classes) if len(held_out) == 2 else None,
            num_classes=len(classes),
            class_names=tuple(files.printable(name) for name in classes),
        )


def _listed(folder: Path, classes: list[str]) -> Examples:
    extra = sorted(e.name for e in folder.iterdir() if e.is_dir() and e.name not in classes)
    if extra:
        raise UserError(
            f"{_shown(folder)} has the class {extra[0]!r}, which train lacks", where="dataset.folder"
        )
    paths: list[str] = []
    targets: list[int] = []
    for number, name in enumerate(classes):
        found = sorted(
            os.path.join(where, file)  # noqa: PTH118  a million Path objects take seconds
            for where, _, names in os.walk(folder / name)
            for file in names
            if file.lower().endswith(SUFFIXES)
        )
        paths += found
        targets += [number] * len(found)
    if not paths:
        raise UserError(f"{_shown(folder)} holds no image", where="dataset.folder")
    return Examples.of(np.array(paths), np.array(targets))


def _shown(path: Path) -> str:
    return files.printable(str(path))


build = ImageFolder
