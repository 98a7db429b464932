"""Stages of a residual network for small images: the first keeps the size of images, the others halve it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn


def residual_stages(
    make_block: Callable[[int, int, int], nn.Module],
    channels: int,
    *,
    planes: Sequence[int],
    blocks: Sequence[int],
    expansion: int = 1,
) -> nn.Sequential:
    """Return all blocks of all stages, one behind another; `expansion * planes[-1]` channels leave them.

    Args:
        make_block: makes a block for the channels that enter it, its planes and the stride it begins with.
        channels: what enters the first block.
        planes: of each stage.
        blocks: how many, of each stage.
        expansion: channels that leave a block, for each of its planes.
    """
    made = []
    for stage, (width, number) in enumerate(zip(planes, blocks, strict=True)):
        for position in range(number):
            made.append(make_block(channels, width, 2 if stage and not position else 1))
            channels = width * expansion
    return nn.Sequential(*made)
