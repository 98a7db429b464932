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
TRUNKS = ("body", "blocks")
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

    `input`: what enters the model. `layer1`, `layer2`, ...: a linear or convolution layer, after the
    activation, norm, pooling and dropout that follow it. `block1`, ...: a block of several layers, such as a
    residual block. `stage1`, ...: the last block before one that changes size or channels. `features`: what
    enters the head. Models need not list them: layers are the children of a module called `body` or `blocks`
    that have weights.
    """
    places = {INPUT: [Place(model, "entering")]}
    named = list(model.named_modules())
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

    The first two are the ends of stages in a network of blocks, else of layers (verma2019 §Algorithm).

    Raises:
        UserError: the model has no place of a name.
    """
    places = places_in(model)
    if not names:
        kind = "stage" if "stage1" in places else "layer"
        names = [name for name in (INPUT, f"{kind}1", f"{kind}2") if name in places]
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
            if not stages or _changes_shape(child):
                stages.append(child)
            blocks.append(child)
            stages[-1] = child
            ended = True
        elif not (ended or isinstance(child, nn.Flatten)):
            layers[-1] = child
    return {
        f"{kind}{number}": Place(module)
        for kind, modules in (("layer", layers), ("block", blocks), ("stage", stages))
        for number, module in enumerate(modules, 1)
    }


def _changes_shape(block: nn.Module) -> bool:
    convolution = next((m for m in block.modules() if isinstance(m, nn.Conv2d)), None)
    if convolution is None:
        return False
    return convolution.stride != (1, 1) or convolution.in_channels != convolution.out_channels


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
