"""What methods with importance weights share: samples of both distributions, and figures of the weights."""

from __future__ import annotations

import torch
from torch import Tensor

from imbtui.engine.batch import Batch
from imbtui.engine.context import MethodContext
from imbtui.errors import UserError
from imbtui.numerics.importance_weights import effective_sample_size, share_on


def inputs_of(context: MethodContext, split: str) -> Tensor:
    """Return the inputs of a split or of further examples, flattened: (N, D) on the training device."""
    return context.whole(split).x.flatten(1)


def shifted_inputs(context: MethodContext, *, where: str) -> Tensor:
    """Return test inputs without labels, (M, D): the data set's own, or those of the validation set.

    Raises:
        UserError: there are neither.
    """
    for split in ("shifted", "val"):
        if len(context.examples.get(split, ())) > 1:
            return inputs_of(context, split)
    raise UserError(
        "there are no inputs of the test distribution to compare the training inputs with",
        where=where,
        hint="Set dataset.validation, or take a data set with its own examples for this, such as toy_sinc.",
    )


def drawn_positions(examples: Batch, number: int, seed: int) -> Tensor:
    """Return positions among the examples, (number,) int64 on their device, drawn with replacement."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(len(examples), (number,), generator=generator).to(examples.y.device)


def weight_logs(weights: Tensor, is_corrupted: Tensor) -> dict[str, Tensor]:
    """Return what to show of a batch's weights while training (lu2021 §3.1, §6.9).

    `effective_sample_size` in examples, `mean_weight`, `max_weight`, and `corrupted_weight`, the share of
    all weight that lies on corrupted examples.
    """
    weights = weights.detach()
    return {
        "effective_sample_size": effective_sample_size(weights),
        "mean_weight": weights.mean(),
        "max_weight": weights.max(),
        "corrupted_weight": share_on(weights, is_corrupted),
    }


def plain_losses(logits: Tensor, targets: Tensor) -> Tensor:
    """Return cross-entropies, (N,), or squared errors where targets are real; members are averaged."""
    if logits.dim() == 3:
        return torch.stack([plain_losses(member, targets) for member in logits]).mean(0)
    logits = logits if logits.dtype == torch.float64 else logits.float()
    if targets.is_floating_point():
        return (logits.squeeze(1) - targets).square()
    return torch.nn.functional.cross_entropy(logits, targets, reduction="none")
