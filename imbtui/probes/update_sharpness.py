"""Curvature of the training loss along the step just taken."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call

from imbtui.engine.batch import Batch
from imbtui.engine.method import Probe
from imbtui.engine.modes import evaluation_mode
from imbtui.engine.ranks import sum_over_ranks, world_size
from imbtui.engine.tick import Tick
from imbtui.numerics.update_sharpness import update_sharpness

METRICS = ("sharpness",)


class UpdateSharpness(Probe):
    """`sharpness` = u^T H u / |u|^2 of the update u (thilak2022 §5).

    H is the Hessian of what the step minimised, with the network in evaluation mode, at the parameters
    before the step. No number where nothing moved.
    """

    def prepare(self, objective: nn.Module, batch: Batch, t: Tick) -> None:
        """Remember the parameters."""
        self.before = {name: p.detach().clone() for name, p in self._moving(objective).items()}

    def measure(self, objective: nn.Module, batch: Batch, t: Tick) -> dict[str, float | list[float]]:
        """Return the sharpness."""

        def loss_of(parameters: Mapping[str, Tensor]) -> Tensor:
            loss, _ = functional_call(objective, dict(parameters), (batch, t))
            return loss

        with evaluation_mode(objective):
            value = update_sharpness(loss_of, self.before, self._moving(objective))
        # Curvature is linear in the loss, which is the mean of what each process minimises.
        sum_over_ranks(value)
        return {"sharpness": float(value) / world_size()}

    def _moving(self, objective: nn.Module) -> dict[str, torch.nn.Parameter]:
        return {name: p for name, p in objective.named_parameters() if p.requires_grad}


build = UpdateSharpness
