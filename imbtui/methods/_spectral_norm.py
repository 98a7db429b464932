"""Spectral normalisation with a soft bound, as a parametrization of a layer's weight."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from imbtui.engine.objective import full_precision
from imbtui.numerics.spectral_norm import Operator, largest_singular_value, power_iteration, soft_bound


class SoftSpectralNorm(nn.Module):
    """Gives the weight W min(1, c / sigma) of a layer with the stored weight W (liu2020 §1).

    sigma is followed by power iteration in training forward passes alone; its singular vectors are
    buffers. For a convolution it is that of the convolution itself, with its stride and padding, not that
    of the kernel as a matrix.

    Args:
        weight: W.
        apply: what the layer does, without its bias.
        v: a start, of the shape of one input (1, ...); any length.
        bound: c.
        iterations: power iterations a pass.
        through_sigma: let gradients flow through sigma; else it counts as a constant.
    """

    v: Tensor
    u: Tensor

    def __init__(
        self,
        weight: Tensor,
        apply: Operator,
        v: Tensor,
        *,
        bound: float,
        iterations: int,
        through_sigma: bool,
    ) -> None:
        super().__init__()
        self.apply_layer = apply
        self.bound = bound
        self.iterations = iterations
        self.through_sigma = through_sigma
        with torch.no_grad():
            u = apply(weight, v)
        # Once at the start, so that sigma means something before the first step.
        v, u = power_iteration(apply, weight, v, u, 1)
        self.register_buffer("v", v)
        self.register_buffer("u", u)

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight that the layer uses."""
        with full_precision(weight.device.type):
            if self.training:
                v, u = power_iteration(self.apply_layer, weight, self.v, self.u, self.iterations)
                self.v.copy_(v)
                self.u.copy_(u)
            else:
                v, u = self.v, self.u
            sigma = largest_singular_value(
                self.apply_layer, weight if self.through_sigma else weight.detach(), v, u
            )
            return soft_bound(weight, sigma, self.bound)


def normalise_layers(
    layers: dict[nn.Module, tuple[int, ...]],
    generator: torch.Generator,
    *,
    bound: float,
    iterations: int,
    through_sigma: bool,
) -> None:
    """Parametrize the weights of layers.

    Args:
        layers: linear and convolution layers, with the shape of what enters each, without the batch.
        generator: draws the starts, on the CPU.
        bound, iterations, through_sigma: see `SoftSpectralNorm`.
    """
    for layer, shape in layers.items():
        weight = layer.weight
        assert isinstance(weight, Tensor)
        v = torch.randn(1, *shape, generator=generator, dtype=torch.float64)
        norm = SoftSpectralNorm(
            weight,
            operator_of(layer),
            v.to(device=weight.device, dtype=weight.dtype),
            bound=bound,
            iterations=iterations,
            through_sigma=through_sigma,
        )
        parametrize.register_parametrization(layer, "weight", norm)


def operator_of(layer: nn.Module) -> Operator:
    """Return what a linear or convolution layer does to inputs (N, ...) under a weight, without its bias."""
    if isinstance(layer, nn.Linear):
        return _linear
    assert isinstance(layer, nn.Conv2d)
    conv = partial(_convolution, dilation=layer.dilation, groups=layer.groups, stride=layer.stride)
    if layer.padding_mode == "zeros":
        return partial(conv, padding=layer.padding)
    return partial(
        conv, padding=0, around=tuple(layer._reversed_padding_repeated_twice), mode=layer.padding_mode
    )


def _linear(weight: Tensor, x: Tensor) -> Tensor:
    return F.linear(x, weight)


def _convolution(
    weight: Tensor,
    x: Tensor,
    *,
    stride: tuple[int, ...],
    padding: str | int | tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
    around: tuple[int, ...] = (),
    mode: str = "constant",
) -> Tensor:
    padded = F.pad(x, around, mode=mode) if around else x
    return F.conv2d(padded, weight, None, stride, padding, dilation, groups)


def hidden_layers(model: nn.Module) -> Iterator[nn.Linear | nn.Conv2d]:
    """Yield the linear and convolution layers with trained weights but for the heads."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d) and "head" not in name.split("."):
            parametrized = parametrize.is_parametrized(module, "weight")
            weight = module.parametrizations["weight"].original if parametrized else module.weight
            if weight.requires_grad:
                yield module


@torch.no_grad()
def shapes_entering(
    model: nn.Module, layers: list[nn.Linear | nn.Conv2d], x: Tensor
) -> dict[nn.Module, tuple[int, ...]]:
    """Return the shape of what enters each layer when the model is given x, (1, ...), without the batch.

    Layers that the model does not use are left out. The model is put back into the mode it was in.
    """
    shapes: dict[nn.Module, tuple[int, ...]] = {}

    def note(layer: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        shapes[layer] = tuple(arguments[0].shape[1:])

    handles = [layer.register_forward_pre_hook(note) for layer in layers]
    training = model.training
    try:
        model.eval()(x)
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    # A linear layer acts on the last axis, whatever stands before it.
    return {
        layer: shape[-1:] if isinstance(layer, nn.Linear) else shape
        for layer, shape in ((one, shapes[one]) for one in layers if one in shapes)
    }
