"""Norms of weights, of the gradient, and of each class's direction in the head."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from imbtui.engine.batch import Batch
from imbtui.engine.heads import CosineHead
from imbtui.engine.method import Probe
from imbtui.engine.tick import Tick
from imbtui.probes._model import head_of

METRICS = ("weights", "gradient", "head_class", "weight/*")


class Norms(Probe):
    """Euclidean norms at the end of a step, before its gradients are cleared.

    `weights`: all parameters; `gradient`: all gradients of this step (left out when there are none);
    `weight/<layer>`: each weight matrix or kernel; `head_class`: the head's weights of each class, as
    stored (a cosine head normalises them when it uses them).
    """

    def measure(self, objective: nn.Module, batch: Batch, t: Tick) -> dict[str, float | list[float]]:
        """Return the norms by name."""
        model = objective.get_submodule("model")
        norms: dict[str, Tensor] = {"weights": get_total_norm([p.detach() for p in model.parameters()])}
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        if gradients:
            norms["gradient"] = get_total_norm(gradients)
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                norms[f"weight/{name.removesuffix('.weight')}"] = parameter.detach().norm()
        values: dict[str, float | list[float]] = dict(
            zip(norms, torch.stack(list(norms.values())).tolist(), strict=True)  # one wait for the device
        )
        head = head_of(model)
        if head is not None:
            values["head_class"] = class_norms(head).tolist()
        return values


def class_norms(head: CosineHead | nn.Linear) -> Tensor:
    """Return the norm of the head's weights of each class, (num_classes,)."""
    weight = head.weight.detach()
    return weight.norm(dim=0 if isinstance(head, CosineHead) else 1)


build = Norms
