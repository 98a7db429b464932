"""What probes ask of a network: its answer in evaluation mode, its head, its features, its separator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from imbtui.engine.batch import Batch, joined
from imbtui.engine.context import ProbeContext
from imbtui.engine.heads import CosineHead
from imbtui.engine.modes import evaluation_mode
from imbtui.engine.ranks import gathered, world_size
from imbtui.errors import UserError, did_you_mean

AT_ONCE = 256
"""Examples that a probe which needs much memory for each looks at together."""


@contextmanager
def evaluating(objective: nn.Module) -> Iterator[nn.Module]:
    """Give the model in evaluation mode and without gradients; the objective's mode is put back."""
    with evaluation_mode(objective), torch.no_grad():
        yield objective.get_submodule("model")


def head_of(model: nn.Module) -> CosineHead | nn.Linear | None:
    """Return the last layer called `head`, also inside whatever a method wrapped around the model."""
    heads = [m for name, m in model.named_modules() if name.rpartition(".")[2] == "head"]
    return next((m for m in reversed(heads) if isinstance(m, CosineHead | nn.Linear)), None)


def features_and_logits(model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return what enters the head, (N, width), and the logits, (N, K)."""
    head = head_of(model)
    assert head is not None
    entered: list[Tensor] = []
    handle = head.register_forward_pre_hook(lambda _, arguments: entered.append(arguments[0]))
    try:
        logits = model(x)
    finally:
        handle.remove()
    return entered[-1], logits


def logits_and_variance(model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return the logits, (N, K) or (M, N, K), and their variance, (N,), where the model's head has one.

    It is the mean over classes and over the networks of an ensemble.
    """
    variances: list[Tensor] = []

    def note(head: nn.Module, arguments: tuple[Tensor, ...], _: Tensor) -> None:
        variance = head.predictive_variance(arguments[0])
        variances.append(variance if variance.dim() == 1 else variance.mean(1))

    heads = [m for m in model.modules() if hasattr(m, "predictive_variance")]
    handles = [head.register_forward_hook(note) for head in heads]
    try:
        logits = model(x)
    finally:
        for handle in handles:
            handle.remove()
    return logits, torch.stack(variances).mean(0) if variances else None


def over_split(
    context: ProbeContext, split: str, look: Callable[[Batch], tuple[Tensor, ...]]
) -> tuple[Tensor, ...]:
    """Return what `look` says of every example of a split, in its order, on every process.

    The processes share the work.

    Args:
        split: a split, or further examples of the data set.
        look: maps a batch of N examples to tensors (N, ...).
    """
    parts = [(batch.index, *look(batch)) for batch in context.batches(split)]
    if world_size() > 1:
        parts = gathered([tuple(column.cpu() for column in part) for part in parts])
        parts.sort(key=lambda part: int(part[0][0]))
    _, *columns = (torch.cat(column).to(context.device) for column in zip(*parts, strict=True))
    return tuple(columns)


def require_examples(context: ProbeContext, name: str, *, where: str, hint: str = "") -> None:
    """Make sure that a run has a split, or further examples, of this name.

    Raises:
        UserError: it has not.
    """
    if name not in context.examples:
        raise UserError(
            f'the run has no examples "{name}"',
            where=where,
            hint=hint or did_you_mean(name, list(context.examples)),
        )


def require_members(context: ProbeContext, split: str, *, where: str, hint: str) -> None:
    """Make sure that the model gives the logits of several members.

    Args:
        split: where an input for it is taken from.
        hint: the method that makes members.

    Raises:
        UserError: it does not.
    """
    training = context.model.training
    with torch.no_grad():
        logits = context.model.eval()(first_examples(context, split, 1)[0])
    context.model.train(training)
    if logits.dim() != 3:
        raise UserError("the model has no members", where=where, hint=hint)


def first_examples(context: ProbeContext, name: str, limit: int) -> tuple[Tensor, Tensor]:
    """Return inputs and labels of the first examples of a split, at most `limit`; alike on every process."""
    examples = context.examples[name]
    first = joined(list(context.batches_of(examples.take(np.arange(min(limit, len(examples)))))))
    return first.x, first.y


def require_linear(context: ProbeContext, *, where: str) -> None:
    """Make sure that the model separates two classes by a linear function of the inputs.

    Raises:
        UserError: it does not.
    """
    head = head_of(context.model)
    if (
        context.num_classes != 2
        or not isinstance(head, nn.Linear)
        or head.in_features != prod(context.input_shape)
        or sum(p.numel() for p in context.model.parameters()) != sum(p.numel() for p in head.parameters())
    ):
        raise UserError(
            "the probe needs a linear model of two classes", where=where, hint='Use model.name = "linear".'
        )


def separator(model: nn.Module) -> tuple[NDArray[np.float64], float]:
    """Return w (D,) and b of the score z_1 - z_0 = w.x + b of a linear model."""
    head = head_of(model)
    assert isinstance(head, nn.Linear)
    weight = head.weight.detach().double().cpu().numpy()
    bias = [0.0, 0.0] if head.bias is None else head.bias.detach().double().tolist()
    return weight[1] - weight[0], bias[1] - bias[0]


def training_points(context: ProbeContext) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the training inputs, flattened (N, D), and their labels as signs, (N,)."""
    whole = context.whole("train")
    return whole.x.flatten(1).double().cpu().numpy(), 2.0 * whole.y.double().cpu().numpy() - 1


def head_and_tail(class_counts: Tensor, ends: int) -> tuple[list[int], list[int]]:
    """Return the `ends` largest and smallest classes by training examples, at most half of all each."""
    order = class_counts.argsort(descending=True, stable=True).tolist()
    number = max(1, min(ends, len(order) // 2))
    return order[:number], order[-number:]
