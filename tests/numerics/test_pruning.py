"""Counts and masks of magnitude pruning against the worked examples and tables of frankle2019."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from imbtui.numerics.pruning import (
    density,
    largest_masks,
    magnitude_masks,
    noisy_weights,
    one_shot_rate,
    prune_count,
    remaining_counts,
    resampled_weights,
    shuffled_masks,
)


def ones(*tensors: torch.Tensor) -> list[torch.Tensor]:
    return [torch.ones_like(t, dtype=torch.bool) for t in tensors]


def ints(masks: list[torch.Tensor]) -> list[list[int]]:
    return [m.int().tolist() for m in masks]


def test_worked_example_a_two_rounds_in_a_layer() -> None:
    """frankle2019 §9 A."""
    first = torch.tensor([[0.5, -0.1, 0.3], [0.2, -0.4, 0.05]], dtype=torch.float64)
    (mask,) = magnitude_masks([first], ones(first), 1 / 3)
    assert mask.int().tolist() == [[1, 0, 1], [1, 1, 0]]
    rubbish = torch.tensor([[0.2, 9, -0.6], [0.1, 0.7, 9]], dtype=torch.float64)
    (mask,) = magnitude_masks([rubbish], [mask], 1 / 3)
    assert mask.int().tolist() == [[1, 0, 1], [0, 1, 0]]
    assert density([mask]) == 0.5


def test_worked_example_a_as_the_first_code_counts() -> None:
    """frankle2019 §9 A: `google` removes 0.2 too."""
    first = torch.tensor([[0.5, -0.1, 0.3], [0.2, -0.4, 0.05]], dtype=torch.float64)
    (mask,) = magnitude_masks([first], ones(first), 1 / 3, compat="google")
    assert mask.int().tolist() == [[1, 0, 1], [0, 1, 0]]


def test_worked_example_b_over_all_layers_with_one_excluded() -> None:
    """frankle2019 §9 B."""
    a = torch.tensor([0.9, -0.2], dtype=torch.float64)
    b = torch.tensor([0.1, 0.3, -0.8], dtype=torch.float64)
    masks = magnitude_masks([a, b], ones(a, b), 0.4)
    assert ints(masks) == [[1, 0], [0, 1, 1]]
    assert density(masks, unpruned=1) == pytest.approx(4 / 6, abs=1e-12)


def test_open_lth_counts_layers_it_never_prunes() -> None:
    """frankle2019 §3: n = ceil(0.4 * 6) = 3, the threshold is 0.8, and it goes too."""
    a, b = torch.tensor([0.9, -0.2]), torch.tensor([0.1, 0.3, -0.8])
    masks = magnitude_masks([a, b], ones(a, b), 0.4, compat="open_lth", elsewhere=1)
    assert ints(masks) == [[1, 0], [0, 0, 0]]


def test_lenet_counts_by_round() -> None:
    """The table of frankle2019 §5."""
    layers = [
        remaining_counts(size, rate, 15) for size, rate in ((235_200, 0.2), (30_000, 0.2), (1_000, 0.1))
    ]
    table = {
        0: (235200, 30000, 1000, 100.0),
        1: (188160, 24000, 900, 80.04),
        3: (120422, 15360, 729, 51.28),
        7: (49325, 6291, 478, 21.07),
        9: (31568, 4026, 387, 13.52),
        15: (8275, 1056, 206, 3.58),
    }
    for level, (*counts, percent) in table.items():
        assert [layer[level] for layer in layers] == counts
        assert round(100 * sum(counts) / 266_200, 2) == percent


@pytest.mark.parametrize(
    ("pruned", "kept", "levels"),
    [
        (267_696, 2_560 + 640, {4: 41.7, 6: 27.1, 7: 21.9, 10: 11.8}),
        (20_018_880, 5_120, {12: 6.9, 15: 3.5, 19: 1.5}),
    ],
    ids=["resnet-18", "vgg-19"],
)
def test_quoted_levels_of_globally_pruned_networks(pruned: int, kept: int, levels: dict[int, float]) -> None:
    """frankle2019 §5, last lines."""
    counts = remaining_counts(pruned, 0.2, max(levels))
    assert {n: round(100 * (counts[n] + kept) / (pruned + kept), 1) for n in levels} == levels


def test_rounding_is_half_to_even() -> None:
    assert [prune_count(0.5, survivors) for survivors in (1, 3, 5, 7)] == [0, 2, 2, 4]
    assert [prune_count(0.5, n, compat="google") for n in (1, 3, 5, 7)] == [1, 3, 3, 5]


def test_one_shot_removes_what_the_rounds_would() -> None:
    assert one_shot_rate(0.2, 3) == pytest.approx(1 - 0.8**3, abs=1e-12)


def test_of_equal_magnitudes_the_earlier_goes_first() -> None:
    a, b = torch.tensor([[0.5, -0.5], [0.5, 0.5]]), torch.tensor([0.5, -0.5])
    assert ints(magnitude_masks([a, b], ones(a, b), 0.5)) == [[[0, 0], [0, 1]], [1, 1]]
    # Memory layout is not order: the same weights, stored column by column.
    columns = a.t().contiguous().t()
    assert ints(magnitude_masks([columns, b], ones(a, b), 0.5)) == [[[0, 0], [0, 1]], [1, 1]]


def test_emptying_a_scope_is_refused() -> None:
    weight = torch.tensor([1.0, 2.0])
    for rate, compat in ((0.9, None), (0.5, "google")):
        with pytest.raises(ValueError, match="no weight would be left of 2"):
            magnitude_masks([weight], ones(weight), rate, compat=compat)
        (mask,) = magnitude_masks([weight], ones(weight), rate, compat=compat, allow_empty=True)
        assert not mask.any()
    assert remaining_counts(2, 0.5, 2, compat="google") == [2, 0, 0]


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=4),
    rate=st.floats(0, 0.95),
    rounds=st.integers(1, 5),
    seed=st.integers(0, 999),
)
def test_each_round_removes_exactly_the_smallest_survivors(
    sizes: list[int], rate: float, rounds: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    weights = [torch.randn(n, generator=generator) for n in sizes]
    masks = ones(*weights)
    for count in remaining_counts(sum(sizes), rate, rounds)[1:]:
        before = masks
        masks = magnitude_masks(weights, before, rate, allow_empty=True)
        assert sum(int(m.sum()) for m in masks) == count
        assert all(bool((b | ~m).all()) for b, m in zip(before, masks, strict=True)), "a weight came back"
        kept = torch.cat([w[m].abs() for w, m in zip(weights, masks, strict=True)])
        gone = torch.cat([w[b & ~m].abs() for w, b, m in zip(weights, before, masks, strict=True)])
        if len(kept) and len(gone):
            assert gone.max() <= kept.min()


def test_shuffles_keep_the_counts() -> None:
    masks = [torch.arange(60).view(6, 10) < 12, torch.arange(40) < 30]

    def shuffled(seed: int, *, across_layers: bool = False) -> list[torch.Tensor]:
        return shuffled_masks(masks, torch.Generator().manual_seed(seed), across_layers=across_layers)

    within = shuffled(0)
    assert [int(m.sum()) for m in within] == [12, 30]
    assert [m.shape for m in within] == [m.shape for m in masks]
    assert not torch.equal(within[0], masks[0])
    assert all(torch.equal(a, b) for a, b in zip(within, shuffled(0), strict=True))
    assert not torch.equal(within[0], shuffled(1)[0])
    across = [shuffled(seed, across_layers=True) for seed in range(5)]
    assert all(sum(int(m.sum()) for m in ms) == 42 for ms in across)
    assert len({int(ms[0].sum()) for ms in across}) > 1


def test_pruning_before_training_keeps_as_many_the_largest() -> None:
    first, second = torch.tensor([[0.5, -0.1, 0.3], [0.2, -0.4, 0.05]]), torch.tensor([-0.9, 0.1])
    kept = [torch.tensor([[0, 0, 1], [1, 0, 1]]).bool(), torch.tensor([0, 1]).bool()]
    assert ints(largest_masks([first], kept[:1])) == [[[1, 0, 1], [0, 1, 0]]]
    assert ints(largest_masks([first, second], kept)) == [[[1, 0, 1], [0, 1, 0]], [1, 0]]
    tied = torch.tensor([0.1, -0.1, 0.1])
    assert ints(largest_masks([tied], [torch.tensor([1, 0, 0]).bool()])) == [[0, 0, 1]]


def test_noise_is_measured_in_deviations_of_the_layer() -> None:
    weight = 0.02 * torch.randn(300, 300, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    added = noisy_weights(weight, 3.0, torch.Generator().manual_seed(1)) - weight
    assert added.std() == pytest.approx(3 * float(weight.std()), rel=0.02)
    assert abs(float(added.mean())) < 0.001
    assert torch.corrcoef(torch.stack([added.flatten(), weight.flatten()]))[0, 1].abs() < 0.02


def test_weights_drawn_from_a_ticket_are_surviving_ones() -> None:
    weight = torch.arange(12.0).view(3, 4)
    mask = weight > 8
    drawn = resampled_weights(weight, mask, torch.Generator().manual_seed(0))
    assert drawn.shape == weight.shape
    assert set(drawn.flatten().tolist()) == {9.0, 10.0, 11.0}
