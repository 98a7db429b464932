"""Which share of a network's weights is not zero."""

from __future__ import annotations

import torch
from torch import nn

from imbtui.engine.batch import Batch
from imbtui.engine.method import Probe
from imbtui.engine.tick import Tick

METRICS = ("weights", "remaining", "weight/*")


class Density(Probe):
    """Counts weights that are not exactly zero, whatever has removed them (frankle2019 §2).

    `weights`: share over all weight matrices and kernels; biases and batch norm do not count.
    `weight/<layer>`: of each; `remaining`: their number.
    """

    def measure(self, objective: nn.Module, batch: Batch, t: Tick) -> dict[str, float | list[float]]:
        """Return the values by name."""
        weights = {
            name.removesuffix(".weight"): parameter.detach()
            for name, parameter in objective.get_submodule("model").named_parameters()
            if parameter.dim() > 1
        }
        counts = torch.stack([w.count_nonzero() for w in weights.values()]).tolist()
        return {
            "weights": sum(counts) / sum(w.numel() for w in weights.values()),
            "remaining": sum(counts),
            **{f"weight/{name}": n / weights[name].numel() for name, n in zip(weights, counts, strict=True)},
        }


build = Density
