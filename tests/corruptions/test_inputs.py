"""Inputs replaced by noise or permuted: zhang2017 §2, arpit2017 §2."""

from __future__ import annotations

import numpy as np
import pytest

from imbtui.corruptions.downscale import Downscale
from imbtui.corruptions.pixel_shuffle import PixelShuffle
from imbtui.corruptions.random_inputs import RandomInputs
from imbtui.engine.examples import Examples
from imbtui.errors import UserError

CHANNELS = np.array([60, 120, 200])


@pytest.fixture(scope="module")
def images() -> Examples:
    """2,000 colour images; the channels differ in their mean, and one pixel is always zero."""
    x = np.random.default_rng(0).integers(-50, 50, (2000, 6, 5, 3)) + CHANNELS
    x[:, 0, 0] = 0
    return Examples.of(x.astype(np.uint8), np.arange(2000) % 10)


@pytest.fixture
def files() -> Examples:
    return Examples.of(np.array(["a.png", "b.png"]), np.array([0, 1]))


def corrupted(corruption, examples: Examples, seed: int = 3) -> Examples:
    return corruption(examples, 10, split_seed=1, seed=seed)


@pytest.mark.parametrize("kind", ["gaussian", "uniform"])
def test_noise_has_the_moments_of_the_training_images(images: Examples, kind) -> None:
    noise = corrupted(RandomInputs(kind=kind), images)
    real = images.x / 255
    assert noise.x.dtype == np.float32
    np.testing.assert_allclose(noise.x.mean((0, 1, 2)), real.mean((0, 1, 2)), atol=0.01)
    np.testing.assert_allclose(noise.x.std((0, 1, 2)), real.std((0, 1, 2)), atol=0.01)
    assert abs(np.corrcoef(noise.x[..., 0].ravel(), real[..., 0].ravel())[0, 1]) < 0.02
    np.testing.assert_array_equal(noise.targets, images.targets)
    assert noise.is_corrupted.all()
    excess = ((noise.x[..., 0] - noise.x[..., 0].mean()) ** 4).mean() / noise.x[..., 0].var() ** 2 - 3
    assert excess == pytest.approx({"gaussian": 0.0, "uniform": -1.2}[kind], abs=0.1)


def test_scalar_and_pixel_moments(images: Examples) -> None:
    scalar, pixel = (corrupted(RandomInputs(moments=m), images).x for m in ("scalar", "pixel"))
    np.testing.assert_allclose(scalar.mean((0, 1, 2)), images.x.mean() / 255, atol=0.01)
    np.testing.assert_array_equal(pixel[:, 0, 0], 0)
    assert scalar[:, 0, 0].std() > 0.1


def test_a_share_of_the_examples(images: Examples) -> None:
    """The share is exact, and a larger one holds a smaller one."""
    few, more = (corrupted(RandomInputs(rate=r), images).is_corrupted for r in (0.2, 0.6))
    assert (few.sum(), more.sum()) == (400, 1200)
    assert (more | ~few).all()
    kept = corrupted(RandomInputs(rate=0.2), images)
    np.testing.assert_allclose(kept.x[~few], images.x[~few] / 255, rtol=1e-6)
    assert (corrupted(RandomInputs(rate=0.2), images, seed=4).is_corrupted != few).any()


def test_test_images_become_noise_only_where_asked(images: Examples) -> None:
    test = images.take(np.arange(300))
    assert RandomInputs().held_out(test, images, split="test", seed=3) is test
    noise = RandomInputs(test=True).held_out(test, images, split="test", seed=3)
    assert noise.is_corrupted.all()
    assert (noise.x != corrupted(RandomInputs(), images).x[:300]).mean() > 0.99
    # Moments are the training set's, whatever the split holds.
    black = Examples.of(np.zeros_like(test.x), test.targets)
    drawn = RandomInputs(test=True).held_out(black, images, split="test", seed=3)
    np.testing.assert_array_equal(drawn.x, noise.x)


def test_features_have_no_channels() -> None:
    x = np.random.default_rng(0).normal(3, 2, (5000, 2)).astype(np.float32)
    x[:, 1] += 10
    noise = corrupted(RandomInputs(), Examples.of(x, np.zeros(5000)))
    np.testing.assert_allclose(noise.x.mean(0), x.mean(), atol=0.3)


def test_one_permutation_serves_all_images_and_splits(images: Examples) -> None:
    shuffled = corrupted(PixelShuffle(), images)
    test = images.take(np.arange(7))
    held_out = PixelShuffle().held_out(test, images, split="test", seed=3)
    np.testing.assert_array_equal(held_out.x, shuffled.x[:7])
    before, after = images.x.reshape(2000, 30, 3), shuffled.x.reshape(2000, 30, 3)
    places = [int(np.flatnonzero((before == after[:, [p]]).all((0, 2)))[0]) for p in range(30)]
    assert sorted(places) == list(range(30)) and places != sorted(places)
    assert shuffled.is_corrupted.all()
    assert (corrupted(PixelShuffle(), images, seed=4).x != shuffled.x).any()


def test_every_image_has_a_permutation_of_its_own(images: Examples) -> None:
    shuffled = corrupted(PixelShuffle(per_image=True), images)
    before, after = (np.sort(x.reshape(2000, 30, 3), axis=1) for x in (images.x, shuffled.x))
    np.testing.assert_array_equal(before, after)
    black = (shuffled.x.reshape(2000, 30, 3) == 0).all(2).argmax(1)
    assert len(set(black.tolist())) == 30
    # Channels travel together: the colours of an image are those it had.
    colours = [{tuple(c) for c in x.reshape(2000, 30, 3)[5]} for x in (images.x, shuffled.x)]
    assert colours[0] == colours[1]
    test = PixelShuffle(per_image=True).held_out(images, images, split="test", seed=3)
    assert (test.x != shuffled.x).mean() > 0.9


@pytest.mark.parametrize("corruption", [RandomInputs(), PixelShuffle()])
def test_image_files_are_refused(corruption, files: Examples) -> None:
    with pytest.raises(UserError, match="image files cannot be changed"):
        corrupted(corruption, files)


def test_images_shrink_in_every_split_and_count_as_clean(images: Examples) -> None:
    small = corrupted(Downscale(factor=1), images)
    np.testing.assert_allclose(small.x, images.x / 255, rtol=1e-6)
    even = Examples.of(images.x[:, :, :4], images.targets)
    half = corrupted(Downscale(), even)
    assert half.x.shape == (2000, 3, 2, 3)
    np.testing.assert_allclose(half.x[7, 1, 0], even.x[7, 2:4, 0:2].mean((0, 1)) / 255, rtol=1e-5)
    np.testing.assert_array_equal(Downscale().held_out(even, even, split="test", seed=0).x, half.x)
    assert not half.is_corrupted.any()


@pytest.mark.parametrize(
    ("examples", "says"),
    [
        (Examples.of(np.zeros((2, 6, 5, 1)), np.zeros(2)), "do not fill 6 x 5 pixels"),
        (Examples.of(np.zeros((2, 4)), np.zeros(2)), "only images"),
    ],
)
def test_what_cannot_shrink_is_refused(examples: Examples, says: str) -> None:
    with pytest.raises(UserError, match=says):
        corrupted(Downscale(), examples)
