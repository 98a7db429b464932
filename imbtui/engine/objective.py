"""What is minimised: the model, the loss and the methods' weights and penalties, as one module."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imbtui.engine.batch import Batch
from imbtui.engine.method import Method
from imbtui.engine.ranks import sum_over_ranks, world_size
from imbtui.engine.tick import Tick


class Objective(nn.Module):
    """One forward pass from a batch to the scalar that is minimised.

    Under several processes this module is what gets wrapped, so that one forward may use the network
    more than once.

    Args:
        model: maps inputs to logits (N, C), or (K, N, C) for K members.
        loss: maps logits and targets to one value a sample; fields it names in `needs` come as keywords.
        methods: in recipe order; `filling` holds those that fill a slot, by its name.
        start_epoch: point in time from which `loss` is used; plain cross-entropy before.
        normalise: what the weighted sum of losses is divided by: `batch` (N), `weights` (their sum) or
            `sum` (nothing); over all processes.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: nn.Module,
        methods: Sequence[Method],
        *,
        start_epoch: int | str = 0,
        normalise: str = "batch",
    ) -> None:
        super().__init__()
        self.model = model
        self.loss = loss
        self.methods = nn.ModuleList(methods)
        self.start_epoch = start_epoch
        self.normalise = normalise
        self.needs: tuple[str, ...] = getattr(loss, "needs", ())
        # Around tiny networks, asking every method for what it does not do would cost as much as a layer.
        self.filling: dict[str, tuple[Method, ...]] = {
            slot: tuple(m for m in methods if getattr(type(m), slot) is not getattr(Method, slot))
            for slot in ("sampling_weights", "around_step", "weights", "penalty", "logs")
        }

    def forward(self, batch: Batch, t: Tick) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the scalar to minimise and what to log of it, all on the device."""
        logits = self.model(batch.x)
        # Products with transition matrices and log-sum-exps lose too much in half precision.
        with full_precision(logits.device.type):
            parts = []
            for term, coefficient in batch.terms or ((batch, 1.0),):
                losses = self.sample_losses(logits, term, t)
                weights = self.sample_weights(term, losses, t)
                reduced = reduce_losses(losses, weights, self.normalise)
                plain = isinstance(coefficient, float) and coefficient == 1.0
                parts.append(reduced if plain else coefficient * reduced)
            for method in self.filling["penalty"]:
                penalty = method.penalty(batch, logits, t)
                if penalty is not None:
                    parts.append(penalty)
            total = functools.reduce(torch.add, parts)
        logs = {"loss": total.detach()}
        for method in self.filling["logs"]:
            logs |= method.logs()
        return total, logs

    def sample_losses(self, logits: Tensor, batch: Batch, t: Tick) -> Tensor:
        """Return one loss a sample, (N,), in float32 or better; members are averaged."""
        logits = logits if logits.dtype == torch.float64 else logits.float()
        if logits.dim() == 3:
            members = [self._losses(member, batch, t) for member in logits]
            return torch.stack(members).mean(0)
        return self._losses(logits, batch, t)

    def _losses(self, logits: Tensor, batch: Batch, t: Tick) -> Tensor:
        if not t.reached(self.start_epoch):
            return F.cross_entropy(logits, batch.y, reduction="none")
        extra: dict[str, Any] = {name: getattr(batch, name) for name in self.needs}
        return self.loss(logits, batch.y, **extra)

    def sample_weights(self, batch: Batch, losses: Tensor, t: Tick) -> Tensor | None:
        """Return the product of the methods' weights, (N,), or None when none gives any."""
        product: Tensor | None = None
        for method in self.filling["weights"]:
            weights = method.weights(batch, losses, t)
            if weights is not None:
                product = weights if product is None else product * weights
        return product


def full_precision(device_type: str) -> AbstractContextManager[Any]:
    """Switch autocast off where it is on; entering it costs as much as several small layers."""
    if torch.is_autocast_enabled(device_type):
        return torch.autocast(device_type, enabled=False)
    return nullcontext()


def reduce_losses(losses: Tensor, weights: Tensor | None, normalise: str) -> Tensor:
    """Return the weighted sum of sample losses (N,), divided as a recipe's `loss.normalise` says.

    `batch`: sum(w l) / N (byrd2019 §2); `weights`: sum(w l) / sum(w) (cao2019 §2.1); `sum`: sum(w l).
    Processes average their gradients, so each one's numerator is taken times their number, over a
    denominator that is summed over all of them: any number of processes minimises the same thing.
    """
    weighted = losses if weights is None else losses * weights
    if normalise == "sum":
        return weighted.sum() * world_size()
    if world_size() == 1:
        if weights is None or normalise == "batch":
            return weighted.mean()
        return weighted.sum() / weights.sum()
    mass = (
        losses.new_full((), len(losses))
        if weights is None or normalise == "batch"
        else weights.sum().detach()
    )
    total = mass.clone()
    sum_over_ranks(total)
    return weighted.sum() * world_size() / total
