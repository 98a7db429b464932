"""What plug-ins are given to set themselves up, once, before training: each kind what it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from imbtui.engine.batch import Batch
from imbtui.engine.examples import Examples
from imbtui.engine.pixels import PixelScale


class MakeModel(Protocol):
    """Draws a fresh network of the recipe."""

    def __call__(self, seed: int, *, plain_head: bool = False) -> nn.Module:
        """Return the network of a seed on the training device; with a plain linear head if wanted."""
        ...


@dataclass(kw_only=True)
class Context:
    """The data of a run and where it trains: what losses are given, and methods and probes too.

    Attributes:
        input_shape: shape of one example without the batch axis, (C, H, W) or (D,).
        vocabulary: how many different tokens inputs are made of; 0: they are no tokens.
        num_classes: number of classes; 0 in a regression task.
        class_counts: training labels per class as used, (num_classes,) int64 on `device`.
        examples: the arrays behind each split, by split name (`train`, `test`, maybe `val`), and the
            further examples a data set has for probes (`other_classes`, `noise`, `means`).
        batches: evaluation batches of one of these: clean pixels, dataset order, on `device`; of several
            processes each has its share.
        whole: all examples of one of these as one such batch, on every process.
        seed: seed of the run.
        device: training device.
        runs: the folder of this run and its neighbours.
        pixels: how inputs come from pixels; None where each image has a scale of its own.
    """

    input_shape: tuple[int, ...]
    vocabulary: int = 0
    num_classes: int
    class_counts: Tensor
    examples: dict[str, Examples]
    batches: Callable[[str], Iterable[Batch]]
    whole: Callable[[str], Batch]
    seed: int
    device: torch.device
    runs: Path
    pixels: PixelScale | None = field(default_factory=PixelScale)


@dataclass(kw_only=True)
class MethodContext(Context):
    """What methods are given, one after another in recipe order.

    Attributes:
        model: the network; logits of a batch are `model(batch.x)`. A method may put another in its place.
        make_model: draws a fresh network of the recipe from a seed, on `device`.
        loss: the recipe's loss.
        replicates: inner repetitions that the recipe asks for.
        epoch: training batches of the epoch of a number, augmented; this process's share.
        beside: further networks that methods train beside the model, by name.
    """

    model: nn.Module
    make_model: MakeModel
    loss: nn.Module
    replicates: int = 1
    epoch: Callable[[int], Iterable[Batch]]
    beside: dict[str, nn.Module] = field(default_factory=dict)


@dataclass(kw_only=True)
class ProbeContext(Context):
    """What probes are given, after all methods.

    Attributes:
        model: the network as it is trained; logits of a batch are `model(batch.x)`.
        batches_of: any examples as evaluation batches, prepared as the run's own; all of them, on every
            process.
        keep: stores an artefact of the run by its file name; rank 0 does, the others only call it.
        beside: networks that methods train beside the model, by name, to compare with.
    """

    model: nn.Module
    batches_of: Callable[[Examples], Iterable[Batch]]
    keep: Callable[[str, bytes], None]
    beside: dict[str, nn.Module]
