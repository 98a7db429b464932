"""Named places in a network, where hidden states are read or changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from torch import Tensor, nn

from imbtui.errors import UserError, did_you_mean

INPUT, FEATURES = "input", "features"
TRUNKS = ("body", "blocks", "layers")
"""What models call the module whose children follow each other."""

Change = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Place:
    """What enters a module, or what leaves it.

    Attributes:
        module: the module.
        side: which of the two.
    """

    module: nn.Module
    side: Literal["entering", "leaving"] = "leaving"


def places_in(model: nn.Module) -> dict[str, list[Place]]:
    """Return the named places of a model in forward order, one for each network that it is made of.

    `input`: what enters the model; of tokens, which cannot be mixed, their embeddings. `layer1`, `layer2`,
    ...: a linear or convolution layer, after the activation, norm, pooling and dropout that follow it.
    `block1`, ...: a block of several layers, such as a residual block. `stage1`, ...: of blocks with
    convolutions, the last before one that changes size or channels. `features`: what enters the head. Models
    need not list them: layers are the children with weights of a module called `body`, `blocks` or `layers`.
    """
    named = list(model.named_modules())
    embeddings = [Place(module) for _, module in named if isinstance(module, nn.Embedding)]
    places = {INPUT: embeddings or [Place(model, "entering")]}
    for name, module in named:
        if name.rpartition(".")[2] in TRUNKS and not _within_trunk(name):
            for key, place in _trunk(module).items():
                places.setdefault(key, []).append(place)
    for name, module in named:
        if name.rpartition(".")[2] == "head":
            places.setdefault(FEATURES, []).append(Place(module, "entering"))
    return places


def chosen_places(model: nn.Module, names: Sequence[str], *, where: str) -> dict[str, list[Place]]:
    """Return the places of these names; without any the input and the first two hidden ones.

    These are the ends of stages (verma2019 §Algorithm), of blocks where there are no stages, of layers where
    there are no blocks, or the features where there are no layers either.

    Raises:
        UserError: the model has no place of a name.
    """
    places = places_in(model)
    if not names:
        kind = next((k for k in ("stage", "block", "layer") if f"{k}1" in places), None)
        hidden = (FEATURES,) if kind is None else (f"{kind}1", f"{kind}2")
        names = [name for name in (INPUT, *hidden) if name in places]
    for name in names:
        if name not in places:
            hint = did_you_mean(name, list(places))
            raise UserError(f'the model has no layer "{name}"', where=where, hint=hint)
    return {name: places[name] for name in names}


def _within_trunk(name: str) -> bool:
    return any(part in TRUNKS for part in name.split(".")[:-1])


def _trunk(trunk: nn.Module) -> dict[str, Place]:
    """Return layers, blocks and stages of a module whose children follow each other."""
    layers: list[nn.Module] = []
    blocks: list[nn.Module] = []
    stages: list[nn.Module] = []
    ended = True  # by a block: what follows it belongs to no layer
    for child in trunk.children():
        if isinstance(child, nn.Linear | nn.modules.conv._ConvNd):
            layers.append(child)
            ended = False
        elif any(parameter.dim() > 1 for parameter in child.parameters()):
            convolutions = [m for m in child.modules() if isinstance(m, nn.Conv2d)]
            if convolutions and (not stages or _changes_shape(convolutions)):
                stages.append(child)
            elif convolutions:
                stages[-1] = child
            blocks.append(child)
            ended = True
        elif not (ended or isinstance(child, nn.Flatten)):
            layers[-1] = child
    return {
        f"{kind}{number}": Place(module)
        for kind, modules in (("layer", layers), ("block", blocks), ("stage", stages))
        for number, module in enumerate(modules, 1)
    }


def _changes_shape(convolutions: Sequence[nn.Conv2d]) -> bool:
    strided = any(convolution.stride != (1, 1) for convolution in convolutions)
    return strided or convolutions[0].in_channels != convolutions[-1].out_channels


@contextmanager
def changing(places: Sequence[Place], change: Change, *, only_training: bool = False) -> Iterator[None]:
    """Let `change` replace the states at the places while the context lasts.

    Args:
        places: where.
        change: maps a state (N, ...) to another one of its shape.
        only_training: leave forward passes in evaluation mode alone.

    Raises:
        RuntimeError: nothing passed through one of the places, so that nothing was changed there.
    """
    with ExitStack() as hooks:
        passed: set[int] = set()
        for number, place in enumerate(places):
            hooks.enter_context(_hook(place, change, only_training, partial(passed.add, number)))
        yield
        if len(passed) < len(places):
            raise RuntimeError("nothing passed through a layer whose states were to be changed")


def states_at(model: nn.Module, places: Sequence[Place], x: Tensor) -> list[Tensor]:
    """Return the states (N, ...) at the places, in their order, for the inputs x."""
    seen: dict[int, Tensor] = {}
    with ExitStack() as hooks:
        for number, place in enumerate(places):

            def note(state: Tensor, number: int = number) -> Tensor:
                seen[number] = state
                return state

            hooks.enter_context(_hook(place, note, False, lambda: None))
        model(x)
    return [seen[number] for number in range(len(places))]


@contextmanager
def _hook(place: Place, change: Change, only_training: bool, passed: Callable[[], Any]) -> Iterator[None]:
    def changed(module: nn.Module, state: Tensor) -> Tensor | None:
        if only_training and not module.training:
            return None
        passed()
        return change(state)

    def entering(module: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...] | None:
        state = changed(module, arguments[0])
        return None if state is None else (state, *arguments[1:])

    if place.side == "entering":
        handle = place.module.register_forward_pre_hook(entering)
    else:
        handle = place.module.register_forward_hook(lambda module, _, state: changed(module, state))
    try:
        yield
    finally:
        handle.remove()
