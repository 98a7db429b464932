"""Several objectives as one: parameters, buffers and batches with a leading member axis under `torch.vmap`.

Plug-ins are written for one run and never see the axis. A member's parameters are slices of the joint
tensors, so whoever evaluates, probes or saves a member uses its own objective as if it trained alone.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from imbtui.engine.batch import Batch
from imbtui.engine.heads import CosineHead
from imbtui.engine.method import Method
from imbtui.engine.objective import Objective
from imbtui.engine.tick import Tick

FASTER = (nn.Linear, CosineHead)
"""Layers whose networks train faster together on a CPU: convolutions and batch norm do not."""


class NotFused(Exception):
    """Runs cannot train together; the message says why."""


class FusedObjective(nn.Module):
    """The sum of objectives of equal structure, each over its own parameters and its own batch.

    Args:
        objectives: the members, K of them; from now on their parameters and buffers are slices of the
            tensors that this one computes with.

    Raises:
        NotFused: their parameters or buffers have different shapes.
    """

    def __init__(self, objectives: Sequence[Objective]) -> None:
        super().__init__()
        self.members = nn.ModuleList(objectives)
        self.filling: dict[str, tuple[Method, ...]] = {"around_step": ()}
        own = [dict(objective.named_parameters()) for objective in objectives]
        trained = [name for name, parameter in own[0].items() if parameter.requires_grad]
        self._slices = {name: [mine[name] for mine in own] for name in trained}
        self._weights = {name: _joined(parts).requires_grad_() for name, parts in self._slices.items()}
        constants = [
            dict(objective.named_buffers()) | {n: p for n, p in mine.items() if not p.requires_grad}
            for objective, mine in zip(objectives, own, strict=True)
        ]
        self._constants = {name: _joined([c[name] for c in constants]) for name in constants[0]}

    def forward(self, batch: Batch, t: Tick) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the sum of the members' objectives, and what each logs: (K,) by name.

        Args:
            batch: every field with a leading member axis.
            t: the step.
        """
        given = {f.name: getattr(batch, f.name) for f in fields(batch) if f.name != "terms"}
        losses, logs = torch.vmap(self._of_one, in_dims=(0, 0, 0, None), randomness="error")(
            self._weights, self._constants, {k: v for k, v in given.items() if v is not None}, t
        )
        return losses.sum(), logs

    def _of_one(
        self, weights: dict[str, Tensor], constants: dict[str, Tensor], given: dict[str, Tensor], t: Tick
    ) -> Any:
        return functional_call(self.members[0], (weights, constants), (Batch(**given), t))

    def backward(self, loss: Tensor) -> None:
        """Compute the gradient of a sum that `forward` returned; each member's parameters get theirs."""
        for whole in self._weights.values():
            whole.grad = None
        # Unlike `autograd.grad` it lays gradients out in memory like their parameters: optimizers rely on it.
        loss.backward()
        for whole, slices in zip(self._weights.values(), self._slices.values(), strict=True):
            parts = [None] * len(slices) if whole.grad is None else whole.grad
            for parameter, part in zip(slices, parts, strict=True):
                parameter.grad = part


def _joined(parts: Sequence[Tensor]) -> Tensor:
    """Return tensors along a new first axis; they become its slices."""
    if any(part.shape != parts[0].shape or part.dtype != parts[0].dtype for part in parts):
        raise NotFused("what the runs compute with has a different shape for each seed")
    whole = torch.stack([part.detach() for part in parts])
    for part, piece in zip(parts, whole, strict=True):
        part.data = piece
    return whole


def stacked(batches: Sequence[Batch]) -> Batch:
    """Return the members' batches as one with a leading member axis."""
    parts: dict[str, Any] = {}
    for name in (f.name for f in fields(Batch) if f.name != "terms"):
        values = [getattr(batch, name) for batch in batches]
        parts[name] = None if values[0] is None else torch.stack(values)
    return Batch(**parts)


class OptimizerPart:
    """One member's part of an optimizer over the members' parameters, in the form it would have alone.

    Args:
        joint: the optimizer; one group.
        first: position of the member's first parameter.
        count: how many it has.
    """

    def __init__(self, joint: torch.optim.Optimizer, first: int, count: int) -> None:
        self._joint = joint
        self._first = first
        self._count = count

    def state_dict(self) -> dict[str, Any]:
        """Return the state as that of an optimizer of this member alone."""
        whole = self._joint.state_dict()
        mine = {
            position: whole["state"][self._first + position]
            for position in range(self._count)
            if self._first + position in whole["state"]
        }
        return {"state": mine, "param_groups": [whole["param_groups"][0] | {"params": [*range(self._count)]}]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the state of an optimizer of this member alone."""
        whole = self._joint.state_dict()
        moved = {self._first + position: value for position, value in state["state"].items()}
        group = state["param_groups"][0] | {"params": whole["param_groups"][0]["params"]}
        self._joint.load_state_dict({"state": whole["state"] | moved, "param_groups": [group]})


def check_methods(methods: Sequence[Callable[..., Method]]) -> None:
    """Make sure that methods do no more than weigh losses, add penalties and set up the network.

    Args:
        methods: what builds them.

    Raises:
        NotFused: one does more.
    """
    slots = ("plan", "around_step", "sampling_weights", "logs", "before_evaluation")
    for build in methods:
        if any(getattr(build, slot, None) is not getattr(Method, slot) for slot in slots):
            raise NotFused(f"the method {build.__name__} does more than weigh losses or add to them")


def check_structure(objective: Objective) -> None:
    """Make sure that objectives like this one train faster together on a CPU.

    Raises:
        NotFused: the network has layers that do not.
    """
    for part in objective.modules():
        if [*part.parameters(recurse=False)] and not isinstance(part, FASTER):
            raise NotFused(f"layers of kind {type(part).__name__} train faster one after another on a CPU")
    if [*objective.model.buffers()]:
        raise NotFused("the network keeps statistics beside its weights")


def check_equality(objectives: Sequence[Objective], batches: Sequence[Batch], ticks: Sequence[Tick]) -> None:
    """Make sure, by one gradient at each of several points in time, that fusing changes nothing.

    Parameters come out as they were. Finds whatever the member axis cannot carry: randomness, control
    flow that depends on data, state outside of buffers, numbers that differ between seeds.

    Args:
        objectives: the members.
        batches: a training batch of each.
        ticks: the points in time.

    Raises:
        NotFused: losses or gradients together are not those of each alone, or buffers change.
    """
    alone = [copy.deepcopy(objective).train() for objective in objectives]
    together = FusedObjective([copy.deepcopy(objective) for objective in objectives]).train()
    for t in ticks:
        try:
            total, logs = together(stacked(batches), t)
            together.backward(total)
        except RuntimeError as error:
            raise NotFused(f"one computation for all was refused ({str(error).splitlines()[0]})") from error
        for number, (objective, member, batch) in enumerate(
            zip(alone, together.members, batches, strict=True)
        ):
            before = {name: buffer.clone() for name, buffer in objective.named_buffers()}
            objective.zero_grad()
            loss, _ = objective(batch, t)
            loss.backward()
            if any(not torch.equal(before[name], buffer) for name, buffer in objective.named_buffers()):
                raise NotFused("a step changes state beside the weights")
            pairs = [(logs["loss"][number], loss.detach())]
            pairs += [
                (ours.grad, theirs.grad)
                for ours, theirs in zip(member.parameters(), objective.parameters(), strict=True)
                if theirs.grad is not None or ours.grad is not None
            ]
            if any(a is None or b is None or not _agree(a, b) for a, b in pairs):
                raise NotFused("together, the first step would not be what it is alone")


def _agree(a: Tensor, b: Tensor) -> bool:
    """Whether two results of one computation differ by rounding alone."""
    tolerance = 1e-9 if a.dtype == torch.float64 else 1e-4
    scale = float(b.abs().max()) if b.numel() else 0.0
    return bool(torch.allclose(a, b, rtol=0, atol=tolerance * max(scale, 1e-12), equal_nan=True))
