"""Device-resident batches: the usual augmentation, drawn in one index operation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from imbtui.engine.batches import DeviceBatches, Order
from imbtui.engine.examples import Examples
from imbtui.engine.seeding import seed_of
from imbtui.errors import UserError
from imbtui.recipe.schema import Augmentation

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)


def batches(
    count: int = 100,
    size: int = 32,
    *,
    rank: int = 0,
    world: int = 1,
    drop_last: bool = False,
    seed: int = 3,
    **augmentation: object,
) -> DeviceBatches:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (count, 12, 12, 3), dtype=np.uint8)
    return DeviceBatches(
        Examples.of(x, np.arange(count) % 10),
        device=torch.device("cpu"),
        dtype=torch.float32,
        augmentation=Augmentation(**augmentation),  # type: ignore[arg-type]
        mean=MEAN,
        std=STD,
        order=Order(count, size, drop_last=drop_last, seed=seed, rank=rank, world=world),
    )


def test_crops_flips_and_normalisation_equal_torchvision_s() -> None:
    from torchvision.transforms.v2 import functional as T

    made = batches(crop=4, flip=True, normalise=True)
    order = made.order.draw(0, None)
    generator = torch.Generator().manual_seed(seed_of(3, "augmentation", 0))
    flips, rows, columns = (torch.randint(n, (100,), generator=generator) for n in (2, 9, 9))
    position = 0
    for batch in made.epoch(0):
        for x, index in zip(batch.x, batch.index, strict=True):
            assert index == order[position]
            image = T.pad(made.clean[index].permute(2, 0, 1), [4])
            image = T.horizontal_flip(image) if flips[position] else image
            image = T.crop(image, int(rows[position]), int(columns[position]), 12, 12)
            expected = T.normalize(T.to_dtype(image, torch.float32, scale=True), list(MEAN), list(STD))
            torch.testing.assert_close(x, expected, atol=1e-5, rtol=0)
            position += 1
    assert position == 100
    assert len(set(zip(flips.tolist(), rows.tolist(), columns.tolist(), strict=True))) > 50


def test_an_epoch_holds_every_example_once_in_an_order_of_its_own() -> None:
    made = batches()
    first, second = ([int(i) for b in made.epoch(e) for i in b.index] for e in (0, 1))
    assert sorted(first) == sorted(second) == list(range(100))
    assert first != second
    assert [len(b) for b in made.epoch(0)] == [32, 32, 32, 4]
    assert [len(b) for b in batches(drop_last=True).epoch(0)] == [32, 32, 32]


def test_skipping_gives_the_rest_of_the_same_epoch() -> None:
    made = batches(crop=2, input_noise=0.5)
    whole, rest = list(made.epoch(5)), list(made.epoch(5, skip=2))
    for a, b in zip(whole[2:], rest, strict=True):
        assert torch.equal(a.x, b.x)
        assert torch.equal(a.y, b.y)


@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_the_same_global_batches(world: int) -> None:
    alone = [b.index.tolist() for b in batches().epoch(2)]
    shares = [[b.index.tolist() for b in batches(rank=r, world=world).epoch(2)] for r in range(world)]
    together = [[i for part in parts for i in part] for parts in zip(*shares, strict=True)]
    assert together == alone
    evaluated = [b for r in range(world) for b in batches(rank=r, world=world).evaluation()]
    assert sorted(i for b in evaluated for i in b.index.tolist()) == list(range(100))


def test_evaluation_is_unaugmented_and_in_order() -> None:
    made = batches(crop=4, flip=True, input_noise=1.0)
    (batch,) = made.evaluation()
    assert batch.index.tolist() == list(range(100))
    torch.testing.assert_close(batch.x, made.clean.permute(0, 3, 1, 2) / 255)


def test_weighted_draws_follow_their_weights() -> None:
    made = batches(count=1000, size=100)
    weights = torch.where(made.targets == 9, 9.0, 1.0).double()
    drawn = torch.cat([b.y for e in range(20) for b in made.epoch(e, weights=weights)])
    share = (drawn == 9).double().mean()
    assert abs(share - 0.5) < 0.02


def test_a_centre_crop_is_torchvision_s_for_training_and_evaluation() -> None:
    from torchvision.transforms.v2 import functional as T

    made = batches(centre_crop=8, normalise=True)
    assert made.input_shape == (3, 8, 8)
    whole = batches(normalise=True)
    expected = T.center_crop(next(whole.evaluation()).x, [8])
    torch.testing.assert_close(next(made.evaluation()).x, expected)
    batch = next(made.epoch(0))
    torch.testing.assert_close(batch.x, expected[batch.index])


def test_shifted_crops_take_the_pixels_around_the_centre_before_zeros() -> None:
    """zhang2017 §4: random crops of a size that the image holds meet no padding."""
    made = batches(centre_crop=8, crop=2)
    inside = batches().clean.permute(0, 3, 1, 2).float() / 255
    batch = next(made.epoch(0))
    places = [
        [(r, c) for r in range(5) for c in range(5) if torch.allclose(x, inside[i, :, r : r + 8, c : c + 8])]
        for x, i in zip(batch.x, batch.index, strict=True)
    ]
    assert all(len(found) == 1 for found in places)
    assert len({found[0] for found in places}) > 10
    assert (next(batches(centre_crop=8, crop=3).epoch(0)).x == 0).all(1).any(), "beyond the image lie zeros"


def test_standardised_batches_keep_noise_on_top() -> None:
    made, noisy = batches(standardise=True), batches(standardise=True, input_noise=0.5)
    evaluated = next(made.evaluation()).x
    torch.testing.assert_close(evaluated.flatten(1).mean(1), torch.zeros(100), atol=1e-5, rtol=0)
    torch.testing.assert_close(evaluated.flatten(1).std(1, correction=0), torch.ones(100))
    batch = next(noisy.epoch(0))
    assert (batch.x - evaluated[batch.index]).std().item() == pytest.approx(0.5, rel=0.05)


def test_a_centre_larger_than_the_image_is_refused() -> None:
    with pytest.raises(UserError, match="no centre of 13 x 13"):
        batches(centre_crop=13)


def test_two_scales_are_refused() -> None:
    with pytest.raises(ValueError, match="normalise or standardise"):
        Augmentation(normalise=True, standardise=True)
