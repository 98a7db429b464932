"""Optimizers, and learning rates as closed formulas of time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn

from imbtui.engine.tick import Tick
from imbtui.recipe.schema import Adagrad, Adam, AdamW, NormalisedGD, Schedule, Sgd


def make_optimizer(
    spec: Sgd | Adam | AdamW | Adagrad | NormalisedGD, parameters: Iterable[nn.Parameter]
) -> torch.optim.Optimizer:
    """Return the recipe's optimizer with fresh state over `parameters`.

    On a CPU, SGD and both Adams take one call for all parameters, in half the time for a small network.
    SGD's bits stay the same; Adam's last ones differ from those of torch's loop over parameters.
    """
    trainable = [p for p in parameters if p.requires_grad]
    options = spec.model_dump(exclude={"name"})
    if isinstance(spec, NormalisedGD):
        return NormalisedDescent(trainable, **options)
    fused = True if all(p.device.type == "cpu" for p in trainable) else None
    if isinstance(spec, Sgd):
        return torch.optim.SGD(trainable, **options, fused=fused)
    if isinstance(spec, Adagrad):
        options["initial_accumulator_value"] = options.pop("accumulator")
        return torch.optim.Adagrad(trainable, **options)
    options["betas"] = tuple(options["betas"])
    make = torch.optim.AdamW if isinstance(spec, AdamW) else torch.optim.Adam
    return make(trainable, **options, fused=fused)


class NormalisedDescent(torch.optim.Optimizer):
    """Steps of length `lr` along the gradient of all parameters together (kini2021 §10).

    Late in the training of separable data the gradient is tiny while its direction still matters. Where
    it is exactly zero, nothing moves.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], *, lr: float) -> None:
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        """Take one step."""
        for group in self.param_groups:
            moved = [p for p in group["params"] if p.grad is not None]
            for parameter, way in zip(moved, unit_direction([p.grad for p in moved]), strict=True):
                parameter.add_(way, alpha=-group["lr"])


def unit_direction(gradients: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Return gradients divided by their common Euclidean norm; zeros stay zeros.

    They are divided by their largest entry first: squares of entries below 1e-160 are zero in float64
    (kini2021 §8.9).
    """
    if not gradients:
        return []
    flat = torch.cat([g.flatten() for g in gradients])
    smallest = torch.finfo(flat.dtype).tiny
    scaled = flat / flat.abs().max().clamp_min(smallest)
    way = scaled / torch.linalg.vector_norm(scaled).clamp_min(smallest)
    return [
        part.view_as(g) for part, g in zip(way.split([g.numel() for g in gradients]), gradients, strict=True)
    ]


def lr_at(schedule: Schedule, lr: float, t: Tick) -> float:
    """Return the learning rate of a step.

    Warm-up over `warmup_epochs` follows cao2019 §5 (constant within an epoch) and replaces the rest of the
    schedule; `warmup` rises step by step from 0 and multiplies it (frankle2019 §5).

    Args:
        schedule: the recipe's schedule.
        lr: the recipe's learning rate.
        t: the step.
    """
    if t.epoch < schedule.warmup_epochs:
        return lr * (t.epoch + 1) / schedule.warmup_epochs
    rising = t.step_of(schedule.warmup)
    return lr * decay_at(schedule, t) * (min(1.0, t.step / rising) if rising else 1.0)


def decay_at(schedule: Schedule, t: Tick) -> float:
    """Return what the learning rate is multiplied with after warm-up.

    `inverse_sqrt`, `stepwise`: 1 / sqrt(1 + floor(step / scale)) (nakkiran2019 §5).
    """
    if schedule.name == "cosine":
        return 0.5 * (1 + math.cos(math.pi * t.progress))
    if schedule.name == "inverse_sqrt":
        elapsed = t.step // schedule.scale if schedule.stepwise else t.step / schedule.scale
        return 1 / math.sqrt(1 + elapsed)
    if schedule.name == "step":
        passed = t.step // max(1, t.step_of(schedule.every))
    else:
        passed = sum(t.reached(milestone) for milestone in schedule.milestones)
    if isinstance(schedule.factor, list):
        return schedule.factor[passed - 1] if passed else 1.0
    return schedule.factor**passed


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Use `lr` for all parameters from the next step on."""
    for group in optimizer.param_groups:
        group["lr"] = lr
