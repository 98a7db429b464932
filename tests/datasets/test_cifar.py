"""CIFAR-10 and CIFAR-100: every form, what `auto` prefers, hostile pickles, a read-only root."""

from __future__ import annotations

import io
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from imbtui import plugins
from imbtui.corruptions.long_tail import LongTail
from imbtui.datasets import cifar10
from imbtui.datasets._pickles import read_pickle
from imbtui.datasets.cifar10 import CIFAR10
from imbtui.datasets.cifar100 import CIFAR100
from imbtui.engine.examples import Examples
from imbtui.errors import UserError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user cache of the test's own."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def planes(count: int, seed: int) -> NDArray[np.uint8]:
    return np.random.RandomState(seed).randint(0, 256, (count, 3072)).astype(np.uint8)


def write_original(root: Path) -> None:
    folder = root / "cifar-10-batches-py"
    folder.mkdir()
    names = [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]
    for number, name in enumerate(names):
        table = {"data": planes(4, number), "labels": [number] * 4, "batch_label": name}
        (folder / name).write_bytes(pickle.dumps(table, protocol=2))


def smooth_images(count: int) -> NDArray[np.uint8]:
    """Images that JPEG keeps nearly as they are: one colour each."""
    colours = np.random.RandomState(1).randint(0, 256, (count, 1, 1, 3))
    return np.broadcast_to(colours, (count, 32, 32, 3)).astype(np.uint8)


def write_jpeg(root: Path) -> NDArray[np.uint8]:
    """Write a small `cifar10_jpeg.npz` (8 training, 4 test images) and return the training images."""
    content: dict[str, Any] = {}
    images = smooth_images(12)
    for split, part in (("train", images[:8]), ("test", images[8:])):
        encoded = []
        for image in part:
            buffer = io.BytesIO()
            Image.fromarray(image).save(buffer, "JPEG", quality=95)
            encoded.append(buffer.getvalue())
        content[f"{split}_jpeg"] = np.frombuffer(b"".join(encoded), np.uint8)
        content[f"{split}_offsets"] = np.cumsum([0, *map(len, encoded)])
        content[f"{split}_y"] = np.arange(len(part), dtype=np.uint8)
    (root / "CIFAR10").mkdir(exist_ok=True)
    np.savez(root / "CIFAR10" / "cifar10_jpeg.npz", **content)
    return images[:8]


def write_small(root: Path) -> None:
    (root / "CIFAR10").mkdir(exist_ok=True)
    x, y = smooth_images(3), np.arange(3, dtype=np.uint8)
    np.savez(root / "CIFAR10" / "cifar10_small.npz", x_train=x, y_train=y, x_test=x[:2], y_test=y[:2])


def test_original(root: Path) -> None:
    write_original(root)
    splits = CIFAR10(form="original").load(root, split_seed=0)
    assert splits.train.x.shape == (20, 32, 32, 3)
    assert splits.train.targets.tolist() == [n for n in range(5) for _ in range(4)]
    assert splits.test.targets.tolist() == [5] * 4
    # Pixels are stored plane by plane, row by row.
    np.testing.assert_array_equal(splits.train.x[4, :, :, 1].ravel(), planes(4, 1)[0, 1024:2048])


def test_original_as_python_2_wrote_it(root: Path) -> None:
    """Byte for byte the opcodes of the published files: texts of Python 2, arrays of the old numpy."""
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR"
        b"(K\x01(K\x01M\x00\x0ctcnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNN"
        b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T\x00\x0c\x00\x00" + bytes(range(256)) * 12 + b"tb"
    )
    content = b"\x80\x02}(U\x04data" + array + b"U\x06labels](K\x07eu."
    path = root / "data_batch_1"
    path.write_bytes(content)
    table = read_pickle(path)
    assert table["labels"] == [7]
    np.testing.assert_array_equal(table["data"], np.tile(np.arange(256, dtype=np.uint8), 12)[None])


def test_pickle_that_names_code_is_refused(root: Path) -> None:
    class Hostile:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(root / "made by the pickle"),)

    write_original(root)
    path = root / "cifar-10-batches-py" / "test_batch"
    for content in (pickle.dumps({"data": Hostile()}), b"not a pickle", b"", pickle.dumps([1])):
        path.write_bytes(content)
        with pytest.raises(UserError, match="is damaged"):
            CIFAR10().load(root, split_seed=0)
    assert not (root / "made by the pickle").exists()


def test_jpeg_is_decoded_once_from_a_read_only_root(
    root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = write_jpeg(root)
    before = sorted(root.rglob("*"))
    first = CIFAR10(form="jpeg").load(root, split_seed=0)
    assert np.abs(first.train.x.astype(int) - images).max() <= 3
    assert first.train.targets.tolist() == list(range(8))
    assert len(first.test) == 4
    assert sorted(root.rglob("*")) == before

    monkeypatch.setattr(cifar10, "decode_jpegs", None)  # would raise if it were called again
    second = CIFAR10(form="jpeg").load(root, split_seed=0)
    np.testing.assert_array_equal(second.train.x, first.train.x)
    monkeypatch.undo()

    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    kept = sorted(cache.rglob("*.npy"))
    assert len(kept) == 2
    for path in kept:
        path.write_bytes(path.read_bytes()[:200])  # damaged: made anew
    third = CIFAR10(form="jpeg").load(root, split_seed=0)
    np.testing.assert_array_equal(third.train.x, first.train.x)


def test_jpeg_without_a_writable_cache(root: Path, cache: Path) -> None:
    images = write_jpeg(root)
    cache.write_text("a file where the folder should be")
    splits = CIFAR10(form="jpeg").load(root, split_seed=0)
    assert np.abs(splits.train.x.astype(int) - images).max() <= 3


def test_changed_jpegs_are_not_taken_from_the_cache(root: Path) -> None:
    write_jpeg(root)
    CIFAR10(form="jpeg").load(root, split_seed=0)
    path = root / "CIFAR10" / "cifar10_jpeg.npz"
    with np.load(path) as old:
        content = {name: old[name] for name in old.files}
    content["train_offsets"] = content["train_offsets"][:5]
    content["train_y"] = content["train_y"][:4]
    np.savez(path, **content)
    assert CIFAR10(form="jpeg").load(root, split_seed=0).train.x.shape[0] == 4


def test_auto_prefers_original_then_jpeg_then_small(root: Path) -> None:
    for write, count in ((write_small, 3), (write_jpeg, 8), (write_original, 20)):
        write(root)
        assert len(CIFAR10().load(root, split_seed=0).train) == count
    assert len(CIFAR10(form="small").load(root, split_seed=0).train) == 3


@pytest.mark.parametrize("form", ["auto", "original", "jpeg", "small"])
def test_missing_names_root_and_command(root: Path, form: Any) -> None:
    with pytest.raises(UserError, match="imbtui data get cifar10") as error:
        CIFAR10(form=form).load(root, split_seed=0)
    assert str(root) in str(error.value)


@pytest.mark.parametrize("form", ["jpeg", "small"])
def test_damaged_is_one_sentence(root: Path, form: Any) -> None:
    write_jpeg(root)
    write_small(root)
    path = root / "CIFAR10" / f"cifar10_{form}.npz"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match="is damaged"):
        CIFAR10(form=form).load(root, split_seed=0)


def test_cifar100(root: Path) -> None:
    with pytest.raises(UserError, match="imbtui data get cifar100"):
        CIFAR100().load(root, split_seed=0)
    folder = root / "cifar-100-python"
    folder.mkdir()
    for name, count in (("train", 6), ("test", 2)):
        table = {
            "data": planes(count, count),
            "fine_labels": list(range(90, 90 + count)),
            "coarse_labels": list(range(count)),
        }
        (folder / name).write_bytes(pickle.dumps(table, protocol=2))
    names = [f"class {n}" for n in range(100)]
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": names}, protocol=2))
    splits = CIFAR100().load(root, split_seed=0)
    assert splits.num_classes == 100
    assert splits.class_names == tuple(names)
    assert splits.train.targets.tolist() == [90, 91, 92, 93, 94, 95]
    assert splits.train.superclasses[90:].tolist() == [0, 1, 2, 3, 4, 5, -1, -1, -1, -1]
    np.testing.assert_array_equal(splits.test.x[0, :, :, 2].ravel(), planes(2, 2)[0, 2048:])
    assert all((root / file).is_file() for file in plugins.literal("dataset", "cifar100", "FILES")[0])


def test_real_small(data_root: Path) -> None:
    splits = CIFAR10(form="small").load(data_root, split_seed=0)
    assert splits.train.class_counts(10).tolist() == [1000] * 10
    assert splits.test.class_counts(10).tolist() == [200] * 10
    assert splits.train.targets[:10].tolist() == [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]
    assert splits.mean is not None
    np.testing.assert_allclose(splits.train.x.mean((0, 1, 2)) / 255, splits.mean, atol=5e-3)


def test_real_jpeg_pixels_and_long_tail_counts(data_root: Path) -> None:
    """The small form holds the same pixels; ratio 100 leaves 12,406 images."""
    with np.load(data_root / "CIFAR10" / "cifar10_jpeg.npz") as content:
        labels = content["train_y"]
        images = cifar10.decode_jpegs(content["train_jpeg"], content["train_offsets"][:101])
    with np.load(data_root / "CIFAR10" / "cifar10_small.npz") as content:
        np.testing.assert_array_equal(images, content["x_train"][:100])
    everything = Examples.of(np.zeros((len(labels), 1), np.float32), labels)
    thinned = LongTail(ratio=100, pick="shuffle")(everything, 10, split_seed=0, seed=0)
    assert len(thinned) == 12_406
    assert thinned.class_counts(10).tolist() == [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]


@pytest.mark.slow
def test_real_jpeg_whole(data_root: Path) -> None:
    splits = CIFAR10(form="jpeg").load(data_root, split_seed=0)
    assert splits.train.class_counts(10).tolist() == [5000] * 10
    assert splits.test.class_counts(10).tolist() == [1000] * 10
    small = CIFAR10(form="small").load(data_root, split_seed=0)
    first = np.sort(np.concatenate([np.flatnonzero(splits.train.targets == c)[:1000] for c in range(10)]))
    np.testing.assert_array_equal(splits.train.x[first], small.train.x)
