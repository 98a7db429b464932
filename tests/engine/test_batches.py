"""Device-resident batches: the usual augmentation, drawn in one index operation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from imbtui.engine.batches import DeviceBatches, Order
from imbtui.engine.examples import Examples
from imbtui.engine.seeding import seed_of
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
