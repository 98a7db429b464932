"""Waterbirds: 11,788 photographs of land and water birds, most on a fitting background (Sagawa 2020)."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from imbtui import files
from imbtui.datasets._source import damaged
from imbtui.engine.examples import DataSplits, Examples
from imbtui.errors import UserError

NUM_CLASSES = 2
FOLDER = "waterbird_complete95_forest2water2"
FILES: tuple[tuple[str, ...], ...] = (("waterbird_complete95_forest2water2/metadata.csv",),)
OBTAIN = "It cannot be fetched: unpack its authors' waterbird_complete95_forest2water2.tar.gz there."
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""ImageNet's, which the pretrained networks expect."""
SPLITS = ("train", "val", "test")
VALIDATION: dict[str, str] = {}


class Waterbirds:
    """Waterbirds (kini2021 §4); `x` holds file names. Class 1 is a water bird.

    Group 2 * label + place: land bird on land, land bird on water, water bird on land, water bird on
    water; in training 3498, 184, 56 and 1057 of them.
    """

    def load(self, root: Path, *, split_seed: int) -> DataSplits:
        """Read the table of images; `split_seed` chooses nothing here.

        Raises:
            UserError: the table is missing or damaged.
        """
        path = root / FILES[0][0]
        if not path.is_file():
            raise UserError(
                f'no data set "waterbirds" under {files.printable(str(root))}',
                hint=OBTAIN,
            )
        try:
            with open(path, newline="", encoding="utf-8") as file:
                rows = [
                    (row["img_filename"], int(row["y"]), int(row["place"]), SPLITS[int(row["split"])])
                    for row in csv.DictReader(file)
                ]
        except (KeyError, ValueError, TypeError, IndexError, UnicodeDecodeError) as error:
            raise damaged(path, error) from error
        splits = {}
        for split in SPLITS:
            own = [row for row in rows if row[3] == split]
            if not own:
                raise damaged(path, f"it lists no {split} image")
            labels, places = (np.array([row[column] for row in own]) for column in (1, 2))
            if not (np.isin(labels, (0, 1)).all() and np.isin(places, (0, 1)).all()):
                raise damaged(path, "y and place must be 0 or 1")
            paths = np.array([str(path.parent / row[0]) for row in own])
            splits[split] = Examples.of(paths, labels, group=2 * labels + places)
        return DataSplits(
            train=splits["train"],
            val=splits["val"],
            test=splits["test"],
            num_classes=NUM_CLASSES,
            class_names=("land bird", "water bird"),
            mean=MEAN,
            std=STD,
        )


build = Waterbirds
