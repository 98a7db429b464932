"""Image folders: classes, splits, and what is said when they do not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imbtui.datasets.image_folder import ImageFolder
from imbtui.errors import UserError


def write_image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((4, 5, 3), np.uint8)).save(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("train/dog/b.png", "train/dog/a.jpg", "train/cat/deep/er/c.PNG", "test/cat/d.png"):
        write_image(tmp_path / "pets" / name)
    (tmp_path / "pets" / "train" / "dog" / "notes.txt").write_text("no image")
    return tmp_path


def test_classes_are_sorted_folders(root: Path) -> None:
    splits = ImageFolder(folder="pets").load(root, split_seed=0)
    assert splits.class_names == ("cat", "dog")
    base = root / "pets"
    assert splits.train.x.tolist() == [
        str(base / "train/cat/deep/er/c.PNG"),
        str(base / "train/dog/a.jpg"),
        str(base / "train/dog/b.png"),
    ]
    assert splits.train.targets.tolist() == [0, 1, 1]
    assert splits.test.targets.tolist() == [0]
    assert splits.val is None
    absolute = ImageFolder(folder=str(base)).load(Path("elsewhere"), split_seed=0)
    assert absolute.train.x.tolist() == splits.train.x.tolist()


def test_val_beside_test_and_alone(root: Path) -> None:
    write_image(root / "pets/val/dog/e.png")
    splits = ImageFolder(folder="pets").load(root, split_seed=0)
    assert splits.val is not None
    assert splits.val.targets.tolist() == [1]
    assert splits.test.targets.tolist() == [0]
    (root / "pets/test").rename(root / "pets/put aside")
    splits = ImageFolder(folder="pets").load(root, split_seed=0)
    assert splits.val is None
    assert splits.test.targets.tolist() == [1]


def test_what_does_not_fit_is_one_sentence(root: Path) -> None:
    with pytest.raises(UserError, match="has no folder train"):
        ImageFolder(folder="plants").load(root, split_seed=0)
    write_image(root / "pets/test/bird/f.png")
    with pytest.raises(UserError, match="'bird', which train lacks"):
        ImageFolder(folder="pets").load(root, split_seed=0)
    (root / "pets/test").rename(root / "pets/put aside")
    with pytest.raises(UserError, match="no folder test and no folder val"):
        ImageFolder(folder="pets").load(root, split_seed=0)
    (root / "pets/val").mkdir()
    with pytest.raises(UserError, match="holds no image"):
        ImageFolder(folder="pets").load(root, split_seed=0)
