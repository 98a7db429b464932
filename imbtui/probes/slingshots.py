"""The last layer's norm at every step, and the slingshots it makes with the training loss."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from imbtui.engine.batch import Batch
from imbtui.engine.context import ProbeContext
from imbtui.engine.method import Probe
from imbtui.engine.tick import Tick
from imbtui.errors import UserError
from imbtui.metrics import series
from imbtui.numerics.slingshots import find_spikes, fitted_at, slingshots
from imbtui.option_types import NonNegative
from imbtui.probes._model import head_of

METRICS = (
    "norm",
    "norm_min",
    "loss_min",
    "norm_max",
    "loss_max",
    "t100",
    "spikes",
    "spike_steps",
    "count",
    "first",
    "norm_before",
    "norm_after",
    "growth_before",
    "growth_after",
)


class Slingshots(Probe):
    """Growth of the last layer, a spike of the loss, a plateau: one slingshot (thilak2022 §5).

    `norm`: Frobenius norm of the head's weights, without bias, and `norm_min`, `norm_max`, `loss_min`,
    `loss_max`: extremes over all steps since the last measurement, of it and of the loss of the batch (of
    several processes, of the share of rank 0).

    At the end of a stage: `t100`, the first evaluation with training accuracy 1; `spikes`, how often the
    training loss spiked, with `spike_steps`; `count`, how many of these are slingshots, with the step of the
    `first` and their `norm_before` and `norm_after`; of the first one `growth_before` and `growth_after`, the
    growth of the norm in the tenth of its step on either side, in nats per 1,000 steps. What there is not is
    no number.

    Args:
        spikes_in: where spikes are looked for: in `train/loss` of the `evaluations`, or in all `steps` by
            `loss_max`, which misses none between evaluations but is the loss of single batches.
        growth: by how much the norm must have grown since the spike before for a spike to be a slingshot.
    """

    def __init__(
        self,
        *,
        spikes_in: Literal["evaluations", "steps"] = "evaluations",
        growth: NonNegative = 0.005,
    ) -> None:
        self.spikes_in = spikes_in
        self.growth = growth
        self.low: Tensor | None = None
        self.high: Tensor | None = None

    def setup(self, context: ProbeContext) -> None:
        """Find the last layer.

        Raises:
            UserError: there is none.
        """
        head = head_of(context.model)
        if head is None:
            raise UserError("the model has no linear or cosine head", where="probes.slingshots")
        self.head = head

    def follow(self, objective: nn.Module, logs: Mapping[str, Tensor], t: Tick) -> None:
        """Keep the extremes of norm and loss on the device."""
        now = torch.stack([torch.linalg.vector_norm(self.head.weight.detach()), logs["loss"]])
        self.low = now if self.low is None else torch.minimum(self.low, now)
        self.high = now if self.high is None else torch.maximum(self.high, now)

    def state(self) -> dict[str, Tensor]:
        """Return the extremes so far."""
        return {} if self.low is None or self.high is None else {"low": self.low, "high": self.high}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from extremes."""
        self.low, self.high = state.get("low"), state.get("high")

    def measure(self, objective: nn.Module, batch: Batch, t: Tick) -> dict[str, float | list[float]]:
        """Return the norm and the extremes, and begin anew."""
        assert self.low is not None and self.high is not None
        norm = torch.linalg.vector_norm(self.head.weight.detach())
        names = ("norm", "norm_min", "loss_min", "norm_max", "loss_max")
        values = torch.cat([norm[None], self.low, self.high]).tolist()
        self.low = self.high = None
        return dict(zip(names, values, strict=True))

    def conclude(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, float | list[float]]:
        """Return the values by name."""
        by_steps = self.spikes_in == "steps"
        losses = series(rows, "slingshots/loss_max" if by_steps else "train/loss")
        norms = latest(rows, "slingshots/norm", losses.steps)
        start = fitted_at(latest(rows, "train/accuracy", losses.steps))
        spikes = [] if start is None else find_spikes(losses.values, start)
        found = [] if start is None else slingshots(losses.steps, norms, spikes, start, self.growth)
        return {
            "t100": math.nan if start is None else losses.steps[start],
            "spikes": len(spikes),
            "spike_steps": [losses.steps[spike] for spike in spikes],
            "count": len(found),
            "first": found[0].step if found else math.nan,
            "norm_before": [each.norm_before for each in found],
            "norm_after": [each.norm_after for each in found],
            "growth_before": found[0].growth_before if found else math.nan,
            "growth_after": found[0].growth_after if found else math.nan,
        }


def latest(rows: Sequence[Mapping[str, Any]], name: str, steps: Sequence[int]) -> list[float]:
    """Return a metric's newest value at each of the ascending `steps`; NaN before its first."""
    curve = series(rows, name)
    values, position, value = [], 0, math.nan
    for step in steps:
        while position < len(curve.steps) and curve.steps[position] <= step:
            value = curve.values[position]
            position += 1
        values.append(value)
    return values


build = Slingshots
