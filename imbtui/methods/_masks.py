"""Weights that stay zero: which can be removed, how they are held there, where their masks are kept."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from imbtui.engine.batch import Batch
from imbtui.engine.method import Method
from imbtui.engine.tick import Tick

REWOUND = "rewound.safetensors"
"""The artefact with the network at the rewind point, by the names of its state."""


def masks_file(stage: str) -> str:
    """Return the name of the artefact with the masks of a stage, by the names of parameters."""
    return f"masks-{stage}.safetensors"


@dataclass(frozen=True)
class Layer:
    """A layer whose weight can be pruned.

    Attributes:
        name: its dotted name in the model.
        weight: the parameter that is pruned.
        kind: which rate is meant for it.
    """

    name: str
    weight: nn.Parameter
    kind: Literal["linear", "conv", "output"]


class Masked(Method):
    """A method under which removed weights are exactly zero in every forward pass and get no gradient.

    So they stay zero through momentum and weight decay (frankle2019 §3).
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers: list[Layer] = []
        self.masks = nn.Module()
        """A bool buffer a layer, true where the weight survives, under its name with `/` for `.`."""
        self._dropped: list[Tensor] = []
        """The places of removed weights, a tensor a layer; none while the network is dense."""

    def guard(self) -> None:
        """Make the buffers of `layers`, and let removed weights have no gradient."""
        for number, layer in enumerate(self.layers):
            mask = torch.ones_like(layer.weight, dtype=torch.bool)
            self.masks.register_buffer(layer.name.replace(".", "/"), mask)
            layer.weight.register_hook(partial(self._without_gradient, number))

    def put_masks(self, masks: list[Tensor]) -> None:
        """Train under these masks from now on, bool tensors in the order of `layers`."""
        for buffer, mask in zip(self.masks.buffers(), masks, strict=True):
            buffer.copy_(mask)
        self._dropped = [] if all(bool(mask.all()) for mask in masks) else [~mask for mask in masks]
        self._zero_dropped()

    def _without_gradient(self, number: int, gradient: Tensor) -> Tensor:
        return gradient.masked_fill(self._dropped[number], 0) if self._dropped else gradient

    @contextlib.contextmanager
    def around_step(self, batch: Batch, t: Tick) -> Iterator[None]:
        """Keep removed weights at zero, whatever moved them since the last step or in this one."""
        self._zero_dropped()
        yield
        self._zero_dropped()

    @torch.no_grad()
    def _zero_dropped(self) -> None:
        for layer, dropped in zip(self.layers, self._dropped, strict=False):
            layer.weight.masked_fill_(dropped, 0)


def prunable_layers(model: nn.Module) -> list[Layer]:
    """Return the linear and convolution layers whose weight is trained, in model order (frankle2019 §3)."""
    layers: list[Layer] = []
    seen: set[int] = set()
    for name, module in model.named_modules():
        if not isinstance(module, nn.Linear | nn.Conv2d):
            continue
        weight = module.weight
        if parametrize.is_parametrized(module, "weight"):
            # A reparametrised weight, such as a spectrally normalised one, is computed from this parameter.
            weight = module.parametrizations["weight"].original
        if not weight.requires_grad or id(weight) in seen:
            continue
        seen.add(id(weight))
        kind: Literal["linear", "conv", "output"] = "conv" if isinstance(module, nn.Conv2d) else "linear"
        layers.append(Layer(name, weight, "output" if is_part("head", name) else kind))
    return layers


def is_part(part: str, name: str) -> bool:
    """Whether a dotted name contains another one as a whole: `blocks.1` is part of `net.blocks.1.conv`."""
    return f".{part}." in f".{name}."
