"""Collages: what each set shows, whitening, upper limits, and what is said when something is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from imbtui.datasets.collages import Collages
from imbtui.engine.examples import DataSplits
from imbtui.errors import UserError

SMALL = {"n_train": 200, "n_test": 100}


def load(root: Path, seed: int = 0, **options: object) -> DataSplits:
    return Collages(**{**SMALL, **options}).load(root, split_seed=seed)  # type: ignore[arg-type]


def test_digits(tmp_path: Path) -> None:
    splits = load(tmp_path)
    assert splits.train.x.shape == (200, 16, 16, 1)
    assert splits.train.x.dtype == np.float32
    assert splits.train.targets.sum() == 100
    assert list(splits.extra) == ["tile_0", "tile_1", "tile_2", "tile_3"]
    assert all(part.targets.sum() == 50 for part in (splits.test, *splits.extra.values()))
    # contrast * (pixel - 0.3), in the order of the tiles: rows from the top left.
    lowest = [splits.train.x[:, r : r + 8, c : c + 8].min() for r in (0, 8) for c in (0, 8)]
    assert lowest == pytest.approx([-0.3, -0.18, -0.18, -0.18])
    again, other = load(tmp_path), load(tmp_path, seed=1)
    assert np.array_equal(again.train.x, splits.train.x)
    assert not np.array_equal(other.train.x, splits.train.x)


def means(x: np.ndarray, y: np.ndarray) -> list[float]:
    """How far the class means are apart in each tile, in quadrants by rows."""
    difference = np.abs(x[y == 1].mean(0) - x[y == 0].mean(0))[..., 0]
    return [float(difference[r : r + 8, c : c + 8].mean()) for r in (0, 8) for c in (0, 8)]


def test_each_further_set_isolates_its_tile(tmp_path: Path) -> None:
    splits = load(tmp_path, n_test=1000, contrasts=[1.0] * 4)
    in_distribution = means(splits.test.x, splits.test.targets)
    for number, examples in enumerate(splits.extra.values()):
        apart = means(examples.x, examples.targets)
        for tile, value in enumerate(apart):
            if tile == number:
                assert value > 0.7 * in_distribution[tile]
            else:
                assert value < 0.35 * in_distribution[tile]


def test_training_and_test_collages_share_no_image(tmp_path: Path) -> None:
    splits = load(tmp_path, n_train=3000, n_test=3000)
    tiles = [
        {image.tobytes() for image in part.x[:, :8, :8]} for part in (splits.train, splits.extra["tile_0"])
    ]
    assert not tiles[0] & tiles[1]
    assert [len(tile) for tile in tiles] == [252, 108]


def test_whitening_is_of_collages_with_all_tiles(tmp_path: Path) -> None:
    """Also where one tile alone tells the label, so that limits are measured on the same features."""
    whole, limit = (load(tmp_path, components=8, informative=tile) for tile in (None, 2))
    assert whole.train.x.shape == (200, 8)
    np.testing.assert_allclose(np.cov(whole.train.x.T), np.eye(8), atol=1e-4)
    assert np.array_equal(whole.extra["tile_0"].x, limit.extra["tile_0"].x)
    assert not np.array_equal(whole.train.x, limit.train.x)
    with pytest.raises(UserError, match="do not vary in 300 directions"):
        load(tmp_path, components=300)


def test_noise_and_order_of_tiles(tmp_path: Path) -> None:
    plain, noisy = load(tmp_path), load(tmp_path, noise=[0.0, 0.2, 0.3, 0.3])
    deviations = (noisy.train.x - plain.train.x)[..., 0]
    found = [deviations[:, r : r + 8, c : c + 8].std() for r in (0, 8) for c in (0, 8)]
    assert found == pytest.approx([0, 0.2, 0.3, 0.3], abs=0.01)
    shuffled = load(tmp_path, shuffle_tiles=True)
    assert np.array_equal(np.sort(shuffled.train.x[0], axis=None), np.sort(plain.train.x[0], axis=None))
    assert not np.array_equal(shuffled.train.x, plain.train.x)


def test_images_in_the_official_order(data_root: Path) -> None:
    splits = load(data_root, source="images", tiles=["mnist", "fashion_mnist"])
    assert splits.train.x.shape == (200, 16, 8, 1)
    assert list(splits.extra) == ["mnist", "fashion_mnist"]
    # MNIST lies above; 28 pixels are padded to 32, so the first row and column are empty.
    mnist, fashion = splits.train.x[:, :8], splits.train.x[:, 8:]
    assert not mnist[:, 0].any()
    assert not mnist[:, :, 0].any()
    assert fashion.mean() > 2 * mnist.mean()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source": "images", "tiles": ["mnist"]}, "two or four different tiles"),
        ({"source": "images", "tiles": ["mnist", "mnist"]}, "two or four different tiles"),
        ({"contrasts": [1.0]}, "one value for each of the four tiles"),
        ({"informative": 4}, "there is no tile 4"),
        ({"source": "images"}, 'no data set "mnist" under .*imbtui data get mnist'),
    ],
)
def test_wrong_options(tmp_path: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        load(tmp_path, **options)
