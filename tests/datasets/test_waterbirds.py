"""Waterbirds: its table of images, groups, and what is said when it is absent or damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imbtui import plugins
from imbtui.datasets.waterbirds import FOLDER, Waterbirds
from imbtui.errors import UserError
from imbtui.submit import check_data

HEADER = "img_id,img_filename,y,split,place,place_filename\n"
ROWS = """1,001.Albatross/a.jpg,1,0,1,/o/ocean/1.jpg
2,001.Albatross/b.jpg,1,0,0,/f/forest/1.jpg
3,002.Wren/c.jpg,0,0,0,/f/forest/2.jpg
4,002.Wren/d.jpg,0,1,1,/o/ocean/2.jpg
5,002.Wren/e.jpg,0,2,0,/f/forest/3.jpg
6,001.Albatross/f.jpg,1,2,0,/f/forest/4.jpg
"""


def write(root: Path, text: str) -> Path:
    folder = root / FOLDER
    folder.mkdir(exist_ok=True)
    (folder / "metadata.csv").write_text(text)
    return folder


def test_splits_and_groups(tmp_path: Path) -> None:
    """kini2021 §4: group = 2 y + place."""
    folder = write(tmp_path, HEADER + ROWS)
    splits = Waterbirds().load(tmp_path, split_seed=0)
    assert splits.val is not None
    assert splits.train.targets.tolist() == [1, 1, 0]
    assert splits.train.group is not None
    assert splits.train.group.tolist() == [3, 2, 0]
    assert splits.val.group is not None
    assert splits.val.group.tolist() == [1]
    assert splits.test.x.tolist() == [str(folder / "002.Wren/e.jpg"), str(folder / "001.Albatross/f.jpg")]
    assert (tmp_path / plugins.literal("dataset", "waterbirds", "FILES")[0][0]).is_file()


def test_images_stream_with_their_groups(tmp_path: Path) -> None:
    import torch

    from imbtui.engine.batches import Order
    from imbtui.engine.streaming import StreamingBatches
    from imbtui.recipe.schema import Augmentation

    folder = write(tmp_path, HEADER + ROWS)
    train = Waterbirds().load(tmp_path, split_seed=0).train
    for path in train.x:
        Path(path).parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((20, 30, 3), 128, np.uint8)).save(path)
    assert folder.is_dir()
    order = Order(3, 3, drop_last=False, seed=0, rank=0, world=1)
    batches = StreamingBatches(
        train,
        size=16,
        device=torch.device("cpu"),
        dtype=torch.float32,
        augmentation=Augmentation(normalise=True),
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        order=order,
        workers=0,
    )
    (batch,) = batches.evaluation()
    assert batch.x.shape == (3, 3, 16, 16)
    assert batch.group is not None
    assert batch.group.tolist() == [3, 2, 0]


def test_absent_says_where_it_belongs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMBTUI_DATA", str(tmp_path))
    with pytest.raises(UserError, match="no data set") as error:
        Waterbirds().load(tmp_path, split_seed=0)
    assert str(tmp_path) in str(error.value)
    assert "unpack" in str(error.value)
    with pytest.raises(UserError, match="unpack") as before:
        check_data("waterbirds", {})
    assert "data get" not in str(before.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a,b\n1,2\n",
        HEADER + "1,a.jpg,1,7,0,x\n",
        HEADER + "1,a.jpg,5,0,0,x\n",
        HEADER + ROWS.replace("1,001.Albatross/a.jpg,1,0,1", "1,001.Albatross/a.jpg,5,0,1"),
        HEADER + "1,a.jpg,one,0,0,x\n",
        HEADER + ROWS.splitlines()[0],
    ],
)
def test_damaged_is_one_sentence(tmp_path: Path, text: str) -> None:
    write(tmp_path, text)
    with pytest.raises(UserError, match="is damaged"):
        Waterbirds().load(tmp_path, split_seed=0)
