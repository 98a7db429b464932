"""What methods with importance weights share: samples of both distributions, and figures of the weights."""

from __future__ import annotations

import torch
from torch import Tensor

from imbtui.engine.batch import Batch
from imbtui.engine.context import MethodContext
from imbtui.engine.method import Method
from imbtui.engine.seeding import seed_of
from imbtui.engine.tick import Tick
from imbtui.errors import UserError
from imbtui.numerics.importance_weights import effective_sample_size, share_on
from imbtui.option_types import When


class BatchWeights(Method):
    """Weights that are found anew for every batch, mostly by what a validation set says of it.

    Args:
        batch_size: validation examples in a step; None: as many as in the training batch.
        start_epoch: all weights are 1 before this point in time.
        draws: names the random draws among those of the run.
    """

    def __init__(self, *, batch_size: int | None, start_epoch: When, draws: str) -> None:
        super().__init__()
        self.batch_size = batch_size
        self.start_epoch = start_epoch
        self._draws = draws
        self._context: MethodContext | None = None
        self._validation: Batch | None = None
        self._logs: dict[str, Tensor] = {}

    def weigh(self, batch: Batch, t: Tick) -> Tensor:
        """Return the weights of the batch's examples, (N,)."""
        raise NotImplementedError

    def weights(self, batch: Batch, losses: Tensor, t: Tick) -> Tensor | None:
        """Return the weights of the batch's examples, (N,); None before the start."""
        if not t.reached(self.start_epoch):
            self._logs = weight_logs(torch.ones_like(losses), batch.is_corrupted)
            return None
        weights = self.weigh(batch, t).to(losses.dtype)
        self._logs = weight_logs(weights, batch.is_corrupted)
        return weights

    def logs(self) -> dict[str, Tensor]:
        """Return figures of the last batch's weights."""
        return self._logs

    def load_validation(self, context: MethodContext, *, purpose: str, where: str) -> None:
        """Load the validation set.

        Args:
            purpose: what it is for, as in `no validation set to match`.
            where: named in the error.

        Raises:
            UserError: there is none.
        """
        if "val" not in context.examples:
            raise UserError(
                f"there is no validation set to {purpose}",
                where=where,
                hint='Set dataset.validation, and train_on_validation = "also" to train on it too.',
            )
        self._validation = context.whole("val")

    def seed(self, t: Tick) -> int:
        """Return the seed of a step's random draws."""
        assert self._context is not None
        return seed_of(self._context.seed, self._draws, t.stage, t.step)

    def drawn(self, size: int, t: Tick) -> tuple[Tensor, Tensor]:
        """Return inputs and labels of validation examples, drawn with replacement by the step's number."""
        assert self._validation is not None
        generator = torch.Generator().manual_seed(self.seed(t))
        number = self.batch_size or size
        chosen = torch.randint(len(self._validation), (number,), generator=generator)
        chosen = chosen.to(self._validation.y.device)
        return self._validation.x[chosen], self._validation.y[chosen]


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
