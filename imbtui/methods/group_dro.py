"""Group DRO: give the groups with the largest losses the largest weights, adapted in every step."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from imbtui.engine.batch import Batch
from imbtui.engine.context import MethodContext
from imbtui.engine.method import Method
from imbtui.engine.ranks import sum_over_ranks
from imbtui.engine.tick import Tick
from imbtui.errors import UserError
from imbtui.option_types import NonNegative, Positive

WHERE = "methods.group_dro"


class GroupDRO(Method):
    """Minimises sum_g q_g L_g with weights q that follow the groups' losses (kini2021 §2.4).

    It works with any loss. Use `loss.normalise = "batch"`.

    Args:
        eta: step size of the weights.
        adjustment: added to a group's loss, over the square root of its size, when the weights are
            updated: one value for all groups or one a group. As in the released code it has an effect
            only if all are above 0.
        by: what a group is: the data set's `group`s, or each `class`.
    """

    q: Tensor
    sizes: Tensor
    added: Tensor

    def __init__(
        self,
        *,
        eta: Positive = 0.01,
        adjustment: list[NonNegative] = [0.0],  # noqa: B006  a recipe's default; never changed
        by: Literal["group", "class"] = "group",
    ) -> None:
        super().__init__()
        self.eta = eta
        self.adjustment = adjustment
        self.by: Literal["group", "class"] = by

    def setup(self, context: MethodContext) -> None:
        """Start with equal weights.

        Raises:
            UserError: there are no groups, or not as many adjustments as groups.
        """
        train = context.examples["train"]
        labels = train.targets if self.by == "class" else train.group
        if labels is None:
            raise UserError("the data set has no groups", where=WHERE, hint='Use by = "class".')
        sizes = torch.bincount(
            torch.from_numpy(labels), minlength=context.num_classes if self.by == "class" else 1
        )
        if len(self.adjustment) not in (1, len(sizes)):
            raise UserError(
                f"{len(self.adjustment)} adjustments are given for {len(sizes)} groups",
                where=f"{WHERE}.adjustment",
            )
        added = torch.tensor(self.adjustment, dtype=torch.float64).expand(len(sizes))
        self.register_buffer("q", torch.full((len(sizes),), 1 / len(sizes), dtype=torch.float64))
        self.register_buffer("sizes", sizes)
        self.register_buffer("added", added.clone())
        self.to(context.device)

    def weights(self, batch: Batch, losses: Tensor, t: Tick) -> Tensor | None:
        """Update q from the batch and return q_g N / N_g of each sample, (N,): the mean is sum_g q_g L_g."""
        group = batch.y if self.by == "class" else batch.group
        assert group is not None
        member = F.one_hot(group, len(self.q)).double()  # a product adds in a fixed order, unlike a scatter
        sums = torch.stack([losses.detach().double() @ member, member.sum(0)])
        sum_over_ranks(sums)
        totals, counts = sums
        if self.training:
            means = totals / counts.clamp_min(1)
            self.q.copy_(updated_weights(self.q, means, self.sizes, self.eta, self.added))
        return (self.q * counts.sum() / counts.clamp_min(1)).to(losses.dtype)[group]


def updated_weights(q: Tensor, losses: Tensor, sizes: Tensor, eta: float, adjustment: Tensor) -> Tensor:
    """Return q_g exp(eta (L_g + adj_g / sqrt(n_g))), renormalised to a sum of one, (G,) (kini2021 §2.4).

    The adjustment is left out unless all of it is above 0, as in the released code.

    Args:
        q: weights so far, (G,).
        losses: L, mean loss of each group in the batch, 0 for absent ones, (G,).
        sizes: n, training examples of each group, (G,).
        eta: step size.
        adjustment: adj, (G,).
    """
    counted = torch.where((adjustment > 0).all(), adjustment / sizes.clamp_min(1).sqrt(), 0.0)
    # A softmax of logarithms: the plain product overflows for large losses.
    return (q.log() + eta * (losses + counted)).softmax(0)


build = GroupDRO
