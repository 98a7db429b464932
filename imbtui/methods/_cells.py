"""What class-balancing methods count: classes, or classes within groups."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from imbtui.engine.context import MethodContext
from imbtui.errors import UserError
from imbtui.numerics.class_weights import class_weights


def groups_of(context: MethodContext, by: Literal["class", "group"], *, where: str) -> int:
    """Return into how many groups each class is divided: 1 when classes are counted.

    Raises:
        UserError: groups are asked for, and the data set has none.
    """
    if by == "class":
        return 1
    group = context.examples["train"].group
    if group is None:
        raise UserError("the data set has no groups", where=where, hint='Count by = "class".')
    return 1 + int(group.max(initial=0))


def balancing_weights(
    context: MethodContext, groups: int, scheme: Literal["effective_number", "inverse"], beta: float
) -> Tensor:
    """Return the weight of each cell y * groups + g, float64, with a mean of one.

    Of cells within groups those without training examples do not enter the mean: where a group's number
    tells its label, most are empty.
    """
    if groups == 1:
        return class_weights(context.class_counts, scheme=scheme, beta=beta)
    table = context.examples["train"].group_counts(context.num_classes, groups)
    counts = torch.from_numpy(table.ravel()).to(context.device)
    weights = torch.zeros(len(counts), dtype=torch.float64, device=context.device)
    weights[counts > 0] = class_weights(counts[counts > 0], scheme=scheme, beta=beta)
    return weights


def cell_of(targets: Tensor, group: Tensor | None, groups: int) -> Tensor:
    """Return the cell of each example, (N,)."""
    return targets if groups == 1 or group is None else targets * groups + group
