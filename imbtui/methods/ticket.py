"""Train a subnetwork that another run has found: its masks, from the weights it was rewound to."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from imbtui.engine.context import MethodContext
from imbtui.engine.neighbours import find_run
from imbtui.errors import UserError, did_you_mean
from imbtui.methods._masks import REWOUND, Masked, is_part, masks_file, prunable_layers

WHERE = "methods.ticket"
_LEVEL = re.compile(r"level-(\d+)")


class Ticket(Masked):
    """Starts from a level of a run with the method `lottery`, whatever data, loss or optimizer are here.

    Removed weights stay exactly zero, as in that run. The model must have the layers of that run's; in
    one that other methods have multiplied, every copy starts from the ticket.

    Args:
        run: that run: its id, the start of one (in the same folder of runs), the path of its folder, or
            `STUDY:ARM`: the finished run of that arm with this run's seed.
        stage: stage whose masks are meant, such as `level-6` or `level-6-random_mask`; left out: its last
            level.
        start: `rewound`: what the run rewound to. `drawn`: this run's own initial weights; the masks alone
            are taken over, as in the control `random_reinit`.
        exclude: layers that are neither masked nor loaded, by name or part of it: `["head"]` where the
            classes differ.
    """

    def __init__(
        self,
        *,
        run: str,
        stage: str | None = None,
        start: Literal["rewound", "drawn"] = "rewound",
        exclude: list[str] = [],  # noqa: B006  a recipe's default; never changed
    ) -> None:
        super().__init__()
        self.run = run
        self.stage = stage
        self.start = start
        self.exclude = exclude

    @torch.no_grad()
    def setup(self, context: MethodContext) -> None:
        """Load weights and masks.

        Raises:
            UserError: the run, the stage or a layer is not there, or the shapes of one differ.
        """
        folder = find_run(context.runs, self.run, where=f"{WHERE}.run", seed=context.seed).artifacts
        masks = self._wanted(_read(folder / masks_file(self._chosen_stage(folder))))
        rewound = _read(folder / REWOUND)
        for entry in self.exclude:
            if not any(is_part(entry, name) for name in rewound):
                layers = sorted({name.rpartition(".")[0] for name in rewound})
                hint = did_you_mean(entry, layers)
                raise UserError(f'the ticket has no layer "{entry}"', where=f"{WHERE}.exclude", hint=hint)
        known: set[int] = set()
        for name, value in self._wanted(rewound).items():
            for target in self._targets(context.model, name, value):
                known.add(id(target))
                if self.start == "rewound":
                    target.copy_(value)
        layers_by_weight = {id(layer.weight): layer for layer in prunable_layers(context.model)}
        for layer in layers_by_weight.values():
            if id(layer.weight) not in known and not self._is_excluded(layer.name):
                raise UserError(
                    f'the ticket has no layer "{layer.name}", which the model has',
                    where=WHERE,
                    hint=self._remedy(layer.name),
                )
        held: list[Tensor] = []
        for name, mask in masks.items():
            for target in self._targets(context.model, name, mask):
                if id(target) in layers_by_weight:
                    self.layers.append(layers_by_weight[id(target)])
                    held.append(mask.to(context.device))
                else:  # not trained here: once zero, it stays so
                    target.mul_(mask)
        self.guard()
        self.put_masks(held)

    def _chosen_stage(self, folder: Path) -> str:
        """Return the stage that is meant."""
        known = [p.name.removeprefix("masks-").removesuffix(".safetensors") for p in folder.glob("masks-*")]
        if not known:
            raise UserError(
                f"the run {self.run} has kept no masks",
                where=f"{WHERE}.run",
                hint="Name a run of a recipe with the method lottery.",
            )
        if self.stage is None:
            return max((s for s in known if _LEVEL.fullmatch(s)), key=lambda s: int(s.removeprefix("level-")))
        if self.stage not in known:
            raise UserError(
                f'the run {self.run} has no masks of a stage "{self.stage}"',
                where=f"{WHERE}.stage",
                hint=did_you_mean(self.stage, known),
            )
        return self.stage

    def _wanted(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: value for name, value in tensors.items() if not self._is_excluded(name)}

    def _is_excluded(self, name: str) -> bool:
        return any(is_part(entry, name) for entry in self.exclude)

    def _targets(self, model: nn.Module, name: str, value: Tensor) -> list[Tensor]:
        """Return the model's own tensors of this name, one a copy of the network."""
        tensors = (*model.named_parameters(), *model.named_buffers())
        found = [tensor for own, tensor in tensors if f".{_plain(own)}".endswith(f".{_plain(name)}")]
        layer = name.rpartition(".")[0]
        if not found:
            raise UserError(
                f'the model has no "{name}", which the ticket has', where=WHERE, hint=self._remedy(layer)
            )
        for tensor in found:
            if tensor.shape != value.shape:
                raise UserError(
                    f'"{name}" is {_shape(tensor)} here and {_shape(value)} in the ticket',
                    where=WHERE,
                    hint=self._remedy(layer),
                )
        return found

    def _remedy(self, layer: str) -> str:
        return f'Use the model of {self.run}, or exclude = ["{layer}"].'


def _plain(name: str) -> str:
    """Return the name that a reparametrised weight had, as in spectral normalisation."""
    return name.replace(".parametrizations", "").removesuffix(".original")


def _read(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except FileNotFoundError:
        raise UserError(f"{path} is not there", where=WHERE) from None
    except SafetensorError as error:
        raise UserError(f"{path} is damaged: {error}", where=WHERE) from None


def _shape(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "one number"


build = Ticket
